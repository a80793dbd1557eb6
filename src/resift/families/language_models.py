"""Rerankers made of language models: they read the logits at the place of the answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from resift.errors import UnsupportedModelError
from resift.families.prompts import (
    BGE_RERANKER_GEMMA,
    BGE_RERANKER_GEMMA2,
    BGE_RERANKER_MINICPM,
    MONO_T5,
    MXBAI_RERANK_V2,
    QWEN3_RERANKER,
    RANK_T5,
)
from resift.families.sequence_classification import SequenceClassification
from resift.text.prompt import Prompt


class _LanguageModel(SequenceClassification):
    """A model whose one or two answers are read like labels; ``max_length`` includes the prompt."""

    data: ClassVar[Prompt]
    architecture: ClassVar[str]
    length: ClassVar[str] = "max_position_embeddings"
    """The field of ``config.json`` with the longest sequence, in tokens."""

    @property
    def prompt(self) -> Prompt:
        """The prompt that the model was trained with."""
        return self.data

    @classmethod
    def recognises(cls, config: Mapping[str, Any]) -> bool:
        """Whether ``config`` names the architecture; it doesn't tell rerankers from chat models."""
        return cls.architecture in (config.get("architectures") or ())

    def window(self, config: Mapping[str, Any]) -> int:
        """The field named by ``length``. Raises ``UnsupportedModelError`` where it is missing."""
        window = config.get(self.length)
        if not isinstance(window, int):
            raise UnsupportedModelError(
                f"config.json has {self.length} {window!r}; expected an int"
            )
        return window

    def format(self, query: str, documents: Sequence[str]) -> tuple[str, Sequence[str]]:
        """The texts as the prompt has them, such as with a space in front."""
        prompt = self.prompt
        return prompt.query.format(query), [prompt.document.format(text) for text in documents]


class Qwen3Reranker(_LanguageModel):
    """Qwen3-Reranker: "yes" against "no"."""

    data = QWEN3_RERANKER
    architecture = "Qwen3ForCausalLM"


class MxbaiRerankV2(_LanguageModel):
    """mxbai-rerank-v2: "1" against "0"."""

    data = MXBAI_RERANK_V2
    architecture = "Qwen2ForCausalLM"


class BgeRerankerGemma(_LanguageModel):
    """bge-reranker-v2-gemma: "Yes" alone."""

    data = BGE_RERANKER_GEMMA
    architecture = "GemmaForCausalLM"


class BgeRerankerMiniCpm(_LanguageModel):
    """bge-reranker-v2-minicpm-layerwise: each layer has a head of one label."""

    data = BGE_RERANKER_MINICPM
    architecture = "LayerWiseMiniCPMForCausalLM"


class BgeRerankerGemma2(_LanguageModel):
    """bge-reranker-v2.5-gemma2-lightweight: heads of one label, and documents made shorter."""

    data = BGE_RERANKER_GEMMA2
    architecture = "CostWiseGemmaForCausalLM"


class MonoT5(_LanguageModel):
    """monoT5: the decoder's first token, "true" against "false"."""

    data = MONO_T5
    architecture = "T5ForConditionalGeneration"
    length = "n_positions"


class RankT5(MonoT5):
    """RankT5, where a card names it: the decoder's first token, one spare token's logit."""

    data = RANK_T5

    @classmethod
    def recognises(cls, config: Mapping[str, Any]) -> bool:
        """Whether ``config`` tells: never, as it is the same as monoT5's."""
        del config
        return False
