"""The table of families: one entry for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from resift.families.protocol import Family
from resift.families.sequence_classification import SequenceClassification

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

    ``model`` is the name for messages. Raises ``UnsupportedModelError`` where there is none.
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
