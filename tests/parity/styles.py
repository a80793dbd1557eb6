"""Kinds of encoders, each a small one of a family in transformers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Style:
    """A kind of model: the names of its classes in transformers, and what it is like."""

    model: str
    tokenizer: str
    labels: int = 1
    absolute: bool = True
    """Positions come from a table, which has an end."""
    unused_positions: int | None = 0
    """Rows of that table before the first that is used; ``None``: the padding's id and one."""
    config: dict[str, Any] = field(default_factory=dict)
    dynamo: bool = False
    """Exported by torch's newer exporter, with the weights in a file beside the graph."""


_DISENTANGLED: dict[str, Any] = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
    "pooler_hidden_size": 32,
}
_DEBERTA_V2: dict[str, Any] = {
    **_DISENTANGLED,
    "position_buckets": 16,
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
}
_DISTILBERT: dict[str, Any] = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}


def _roberta(name: str, labels: int = 1) -> Style:
    return Style(
        model=name,
        tokenizer=f"{name}Tokenizer",
        labels=labels,
        unused_positions=None,
        config={"type_vocab_size": 1},
    )


STYLES = {
    "bert": Style(model="Bert", tokenizer="BertTokenizer"),
    "bert-2": Style(model="Bert", tokenizer="BertTokenizer", labels=2, dynamo=True),
    "electra": Style(model="Electra", tokenizer="BertTokenizer", config={"embedding_size": 16}),
    "electra-2": Style(model="Electra", tokenizer="BertTokenizer", labels=2),
    "roberta": _roberta("Roberta"),
    "roberta-2": _roberta("Roberta", labels=2),
    "xlm-roberta": _roberta("XLMRoberta"),
    "xlm-roberta-2": _roberta("XLMRoberta", labels=2),
    "deberta-v2": Style(
        model="DebertaV2", tokenizer="DebertaV2Tokenizer", absolute=False, config=_DEBERTA_V2
    ),
    "deberta-v2-2": Style(
        model="DebertaV2",
        tokenizer="DebertaV2Tokenizer",
        labels=2,
        absolute=False,
        config={**_DEBERTA_V2, "type_vocab_size": 2},
    ),
    "modernbert": Style(
        model="ModernBert", tokenizer="ModernBERT", absolute=False, config={"local_attention": 8}
    ),
    "modernbert-2": Style(
        model="ModernBert",
        tokenizer="ModernBERT",
        labels=2,
        absolute=False,
        config={"local_attention": 8, "classifier_pooling": "mean"},
    ),
    "deberta": Style(
        model="Deberta", tokenizer="DebertaTokenizer", absolute=False, config=_DISENTANGLED
    ),
    "distilbert": Style(model="DistilBert", tokenizer="DistilBertTokenizer", config=_DISTILBERT),
    # The code of MPNet has its padding's id, 1, as a constant.
    "mpnet": Style(model="MPNet", tokenizer="MPNetTokenizer", unused_positions=2),
    "albert": Style(model="Albert", tokenizer="AlbertTokenizer", config={"embedding_size": 16}),
    "camembert": _roberta("Camembert"),
    "ernie": Style(model="Ernie", tokenizer="BertTokenizer", config={"use_task_id": False}),
}
