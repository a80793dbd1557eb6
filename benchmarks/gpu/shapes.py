"""Shapes of published rerankers, and the operations that their layers need for given lengths."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

Kind = Literal["xlm-roberta", "modernbert", "qwen3", "gemma"]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """An encoder with a head for relevance, or a decoder that answers in one token."""

    kind: Kind
    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    """Pairs may have this many tokens."""
    key_value_heads: int | None = None
    """``None``: as many as ``heads``."""
    head_size: int | None = None
    """``None``: ``hidden / heads``."""
    window: int = 0
    """Tokens that a local layer sees, half of them to each side; 0: there are no local layers."""
    whole_each: int = 1
    """Of so many layers one sees the whole text; the others are local."""
    pooling: Literal["cls", "mean"] = "cls"
    """What a head of ModernBERT reads."""

    @property
    def is_decoder(self) -> bool:
        """Whether a token sees only what is before it."""
        return self.kind in ("qwen3", "gemma")

    @property
    def weights(self) -> int:
        """Weights of all layers that multiply each token."""
        queries = self.heads * self._head
        keys = (self.key_value_heads or self.heads) * self._head
        attention = self.hidden * (2 * queries + 2 * keys)
        # The newer ones have a gate.
        products = 2 if self.kind == "xlm-roberta" else 3
        return self.layers * (attention + products * self.hidden * self.inner)

    @property
    def bytes(self) -> int:
        """Bytes of all weights in float32."""
        return 4 * (self.weights + self.vocabulary * self.hidden)

    def flop(self, lengths: Iterable[int], *, squares: bool = False) -> float:
        """Operations of the layers' matrix products, for texts of these lengths in tokens.

        Nothing is counted for padding, for what a mask hides (half of a decoder's attention, and
        what is outside of a window), for the embeddings and for the head. With ``squares``,
        attention counts as if there were no mask, as torch's own counter does.
        """
        total = 0.0
        width = self.heads * self._head
        whole = -(-self.layers // self.whole_each)
        for length in lengths:
            seen = whole * (length**2 if squares else self._seen(length, 0))
            seen += (self.layers - whole) * (
                length**2 if squares else self._seen(length, self.window)
            )
            total += 2 * self.weights * length + 4 * width * seen
        return total

    def _seen(self, length: int, window: int) -> int:
        """How many pairs of tokens attention compares in one layer."""
        if self.is_decoder:
            return length * (length + 1) // 2
        side = window // 2 if window else length
        near = min(side, length - 1)
        return length + 2 * sum(length - distance for distance in range(1, near + 1))

    @property
    def _head(self) -> int:
        return self.head_size or self.hidden // self.heads

    def config(self) -> dict[str, Any]:
        """Its part of a ``config.json``."""
        shared = {
            "vocab_size": self.vocabulary,
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": self.inner,
            "max_position_embeddings": self.positions,
        }
        if self.is_decoder:
            return shared | {
                "num_key_value_heads": self.key_value_heads or self.heads,
                "head_dim": self._head,
                "tie_word_embeddings": True,
            }
        if self.kind == "modernbert":
            return shared | {
                "num_labels": 1,
                "local_attention": self.window,
                "global_attn_every_n_layers": self.whole_each,
                "classifier_pooling": self.pooling,
            }
        # XLM-R's positions begin after the padding's id.
        positions = self.positions + 2
        return shared | {
            "num_labels": 1,
            "type_vocab_size": 1,
            "max_position_embeddings": positions,
        }


_BASE = Shape(
    kind="xlm-roberta",
    hidden=768,
    layers=12,
    heads=12,
    inner=3072,
    vocabulary=250_002,
    positions=512,
)
_LARGE = replace(_BASE, hidden=1024, layers=24, heads=16, inner=4096)
# As in Alibaba-NLP/gte-reranker-modernbert-base.
_MODERN = Shape(
    kind="modernbert",
    hidden=768,
    layers=22,
    heads=12,
    inner=1152,
    vocabulary=50_368,
    positions=8192,
    window=128,
    whole_each=3,
    pooling="mean",
)

SHAPES = {
    "bge-reranker-v2-m3": replace(_LARGE, positions=8192),
    "bge-reranker-base": _BASE,
    "bge-reranker-large": _LARGE,
    "ModernBERT-base": _MODERN,
    "Qwen3-Reranker-0.6B": Shape(
        kind="qwen3",
        hidden=1024,
        layers=28,
        heads=16,
        inner=3072,
        vocabulary=151_669,
        positions=40_960,
        key_value_heads=8,
        head_size=128,
    ),
    "bge-reranker-v2-gemma": Shape(
        kind="gemma",
        hidden=2048,
        layers=18,
        heads=8,
        inner=16_384,
        vocabulary=256_000,
        positions=8192,
        key_value_heads=1,
        head_size=256,
    ),
}
"""By name, in the order in which they are measured."""

_TINY: dict[str, Any] = {
    "hidden": 32,
    "layers": 3,
    "heads": 4,
    "inner": 48,
    "vocabulary": 4096,
    "positions": 1024,
}
OTHERS = {
    # What packing does for it: a head that reads the first token needs no padding.
    "tiny": replace(_BASE, **_TINY),
    "tiny-modernbert": replace(_MODERN, **_TINY, window=16),
    "tiny-qwen3": replace(SHAPES["Qwen3-Reranker-0.6B"], **_TINY, key_value_heads=2, head_size=16),
    "tiny-gemma": replace(
        SHAPES["bge-reranker-v2-gemma"], **_TINY, key_value_heads=1, head_size=16
    ),
}
"""Those that are measured when they are asked for; the tiny ones are for tests."""


def find_shape(name: str) -> Shape:
    """The shape of a name. Raises ``ValueError``, which lists them all."""
    known = SHAPES | OTHERS
    if name not in known:
        raise ValueError(f"no shape {name!r}; expected one of {', '.join(known)}")
    return known[name]
