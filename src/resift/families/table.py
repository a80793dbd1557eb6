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
from resift.plugins import Plugins, warn_once

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
"""resift's own, by name."""


_MEMBERS = ("prompt", "recognises", "window", "format", "logits")

PLUGINS: Plugins[type[Family]] = Plugins(
    "resift.families",
    expected=f"a class with {', '.join(_MEMBERS)}, as of resift.families.Family",
    is_one=lambda part: isinstance(part, type) and all(hasattr(part, each) for each in _MEMBERS),
    error=UnsupportedModelError,
    ours=FAMILIES,
)


def find_family(config: Mapping[str, Any], name: str | None, model: str) -> Family:
    """The family a card names, else the one that recognises ``config.json``.

    Families of other packages come after resift's own. ``model`` is the name for messages. Raises
    ``UnsupportedModelError`` where there is none, and where the one that the card names is in a
    broken package.
    """
    if name is not None:
        named = FAMILIES.get(name) or PLUGINS.get(name)
        if named is None:
            raise UnsupportedModelError(
                f"{model}: its card names the family {name!r}; this version of resift knows "
                f"{[*FAMILIES, *PLUGINS.names()]}"
            )
        return named()
    for kind in FAMILIES.values():
        if kind.recognises(config):
            return kind()
    for each, kind in PLUGINS.usable().items():
        if _recognises(each, kind, config):
            return kind()
    raise UnsupportedModelError(
        f"{model}: its config.json has model_type {config.get('model_type')!r} and architectures "
        f"{config.get('architectures')!r}; expected an encoder with a sequence-classification "
        "head of one or two labels, which is what a cross-encoder is, or a reranker of one of the "
        f"kinds {[*FAMILIES, *PLUGINS.names()][1:]}. An embedding model can't score pairs."
    )


def _recognises(name: str, kind: type[Family], config: Mapping[str, Any]) -> bool:
    try:
        return kind.recognises(config)
    # The user didn't choose this family, so its failure mustn't stop the search.
    except Exception as error:
        warn_once(
            f"left out: {PLUGINS.group} {name!r} of {PLUGINS.package(name)} can't say whether it "
            f"knows a config.json: {error!r}"
        )
        return False


def family_name(family: Family) -> str:
    """The name of a family, as in a card."""
    ours = (name for name, kind in FAMILIES.items() if type(family) is kind)
    return next(ours, None) or next(
        name for name, kind in PLUGINS.usable().items() if type(family) is kind
    )
