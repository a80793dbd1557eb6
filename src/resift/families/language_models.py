"""Rerankers made of language models: the logits at the place where the answer would be."""

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
    """One or two outputs are read as one or two labels are; ``max_length`` counts the prompt."""

    data: ClassVar[Prompt]
    architecture: ClassVar[str]
    length: ClassVar[str] = "max_position_embeddings"
    """Where ``config.json`` says what the model was built for, in tokens."""

    @property
    def prompt(self) -> Prompt:
        """The kind's own."""
        return self.data

    @classmethod
    def recognises(cls, config: Mapping[str, Any]) -> bool:
        """By architecture alone: nothing in a configuration tells a reranker from a chat model."""
        return cls.architecture in (config.get("architectures") or ())

    def window(self, config: Mapping[str, Any]) -> int:
        """The field named by ``length``. Raises ``UnsupportedModelError`` where it isn't there."""
        window = config.get(self.length)
        if not isinstance(window, int):
            raise UnsupportedModelError(
                f"config.json has {self.length} {window!r}; expected an int"
            )
        return window

    def format(self, query: str, documents: Sequence[str]) -> tuple[str, Sequence[str]]:
        """The texts as they stand in the prompt."""
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
    """RankT5, where a card says so: the decoder's first token, one spare token's logit."""

    data = RANK_T5

    @classmethod
    def recognises(cls, config: Mapping[str, Any]) -> bool:
        """Never: the configuration is that of monoT5."""
        del config
        return False
