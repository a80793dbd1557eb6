"""The text around a query and a document, for models whose tokenizer has no pair template."""

from __future__ import annotations

from typing import NamedTuple


class Prompt(NamedTuple):
    """The text around a query and a document, and the tokens whose logits are the answer."""

    before: tuple[str, ...]
    """The first pieces; every piece is tokenized by itself."""
    query: str
    """A format with ``{}`` for the query."""
    between: tuple[str, ...]
    label: tuple[str, ...]
    """Pieces right before the document, which count as its part where a model needs its place."""
    document: str
    """A format with ``{}`` for the document."""
    after: tuple[str, ...]
    answers: tuple[str, ...]
    """Tokens: [irrelevant, relevant], or [relevant] alone; empty where the model has a head for
    relevance."""
