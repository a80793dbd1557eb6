"""One request, checked: a query and the texts to rank for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from resift.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class Request:
    """A query and its documents, each different text once."""

    query: str
    texts: tuple[str, ...]
    """The different texts, in order of first appearance."""
    slots: tuple[int, ...]
    """For each document, where its text is in ``texts``."""

    @classmethod
    def check(cls, query: str, documents: Iterable[str | None]) -> Request:
        """Raises ``InvalidRequestError`` naming what was given instead."""
        check_query(query)
        if isinstance(documents, (str, bytes)) or not isinstance(documents, Iterable):
            raise InvalidRequestError(
                f"documents must be a list of str, not {_describe(documents)}; "
                "put a single document into a list"
            )
        slot_of: dict[str, int] = {}
        slots = [
            slot_of.setdefault(_check_document(index, document), len(slot_of))
            for index, document in enumerate(documents)
        ]
        return cls(encodable(query), tuple(map(encodable, slot_of)), tuple(slots))


def check_query(query: object) -> None:
    """Pass a ``str`` that isn't blank."""
    if not isinstance(query, str):
        raise InvalidRequestError(f"query must be a str, not {_describe(query)}")
    if not query.strip():
        raise InvalidRequestError(
            f"query must not be empty or only white space: {query!r}; "
            "skip the reranking step when there is nothing to ask"
        )


def encodable(text: str) -> str:
    """The text with surrogate pairs joined and lone surrogates replaced by U+FFFD.

    Python strings may hold lone surrogates (from ``json.loads`` or a file system); UTF-8, and so
    every tokenizer, can't.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _check_document(index: int, document: object) -> str:
    if document is None:
        return ""
    if not isinstance(document, str):
        raise InvalidRequestError(
            f"documents[{index}] must be a str or None, not {_describe(document)}"
        )
    return document


def _describe(given: object) -> str:
    text = repr(given)
    return f"{type(given).__name__}: {text if len(text) <= 80 else text[:77] + '...'}"
