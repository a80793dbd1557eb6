"""What stands around a query and a document, where that isn't the tokenizer's to say."""

from __future__ import annotations

from typing import NamedTuple


class Prompt(NamedTuple):
    """The text around a query and a document, and the tokens whose logits are the answer."""

    before: tuple[str, ...]
    query: str
    """With ``{}`` for the query."""
    between: tuple[str, ...]
    label: tuple[str, ...]
    """Right before the document, and part of it to models that treat documents apart."""
    document: str
    """With ``{}`` for the document."""
    after: tuple[str, ...]
    answers: tuple[str, ...]
    """Tokens: [irrelevant, relevant], or [relevant] alone; none where a head of the model's own
    gives the relevance."""
