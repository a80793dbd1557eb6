"""How a kind of model formats a pair and reads a logit: one file and one table line for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from resift.errors import UnsupportedModelError
from resift.families.language_models import (
    BgeRerankerGemma,
    BgeRerankerGemma2,
    BgeRerankerMiniCpm,
    MonoT5,
    MxbaiRerankV2,
    Qwen3Reranker,
    RankT5,
)
from resift.families.sequence_classification import SequenceClassification
from resift.text.prompt import Prompt


class Family(Protocol):
    """A kind of model. It knows nothing of devices or batches."""

    @property
    def prompt(self) -> Prompt | None:
        """What is around the texts; ``None`` where the tokenizer itself joins a pair."""

    @classmethod
    def recognises(cls, config: Mapping[str, Any]) -> bool:
        """Whether a model with this ``config.json`` is of the family."""

    def window(self, config: Mapping[str, Any]) -> int:
        """The longest pair the model was built for, in tokens, special tokens included."""

    def format(self, query: str, documents: Sequence[str]) -> tuple[str, Sequence[str]]:
        """The texts to tokenize as the first and the second of each pair."""

    def logits(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """``float32 [batch, labels]`` to one relevance logit each, ``float32 [batch]``."""


FAMILIES: dict[str, type[Family]] = {
    "sequence_classification": SequenceClassification,
    "qwen3_reranker": Qwen3Reranker,
    "mxbai_rerank_v2": MxbaiRerankV2,
    "bge_reranker_gemma": BgeRerankerGemma,
    "bge_reranker_minicpm": BgeRerankerMiniCpm,
    "bge_reranker_gemma2": BgeRerankerGemma2,
    "mono_t5": MonoT5,
    "rank_t5": RankT5,
}


def find_family(config: Mapping[str, Any], name: str | None, model: str) -> Family:
    """The family a card names, else the one that recognises ``config.json``.

    Raises ``UnsupportedModelError`` where there is none.
    """
    if name is not None:
        if name not in FAMILIES:
            raise UnsupportedModelError(
                f"{model}: its card names the family {name!r}; this version of resift knows "
                f"{list(FAMILIES)}"
            )
        return FAMILIES[name]()
    for family in FAMILIES.values():
        if family.recognises(config):
            return family()
    raise UnsupportedModelError(
        f"{model}: its config.json has model_type {config.get('model_type')!r} and architectures "
        f"{config.get('architectures')!r}; expected an encoder with a sequence-classification "
        "head of one or two labels, which is what a cross-encoder is, or a reranker of one of the "
        f"kinds {list(FAMILIES)[1:]}. An embedding model can't score pairs."
    )
