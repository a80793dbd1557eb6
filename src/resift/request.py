"""One request, checked: a query and the texts to rank for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, compress
from typing import Any

from resift.errors import InvalidRequestError


@dataclass(frozen=True, slots=True)
class Request:
    """A query and its documents, each different text once."""

    query: str
    texts: tuple[str, ...]
    """The different texts, in order of first appearance."""
    slots: tuple[int, ...]
    """For each document, the position of its text in ``texts``."""

    @classmethod
    def of(cls, query: str, documents: Iterable[str | None]) -> Request:
        """Check a query and its documents.

        A document that is ``None`` has the text ``""``. Raises ``InvalidRequestError`` for a query
        that isn't a ``str`` or is blank, and for documents that aren't an iterable of ``str`` and
        ``None``.
        """
        check_query(query)
        documents = read_once("documents", documents, "str")
        slot_of: dict[str, int] = {}
        slots = [
            slot_of.setdefault(_check_document(index, document), len(slot_of))
            for index, document in enumerate(documents)
        ]
        return cls(encodable(query), tuple(map(encodable, slot_of)), tuple(slots))

    @classmethod
    def of_all(cls, requests: Iterable[tuple[str, Iterable[str | None]]]) -> list[Request]:
        """Check several requests, each a pair of a query and its documents; see ``of``.

        Raises ``InvalidRequestError``; where there are several requests, its message begins with
        ``requests[index]``.
        """
        given = read_once("requests", requests, "pairs of a query and its documents")
        checked = []
        for index, request in enumerate(given):
            if not (isinstance(request, (tuple, list)) and len(request) == 2):
                raise InvalidRequestError(
                    f"requests[{index}] must be a pair of a query and its documents, "
                    f"not {describe(request)}"
                )
            try:
                checked.append(cls.of(*request))
            except InvalidRequestError as error:
                if len(given) == 1:
                    raise
                raise InvalidRequestError(f"requests[{index}]: {error}") from error
        return checked

    def only(self, kept: Sequence[bool]) -> Request:
        """The same query, with the texts that are ``kept`` (``bool [texts]``) and their documents.

        The documents are renumbered.
        """
        if all(kept):
            return self
        places = list(accumulate(kept, initial=0))
        slots = tuple(places[slot] for slot in self.slots if kept[slot])
        return Request(self.query, tuple(compress(self.texts, kept)), slots)


def read_once(name: str, given: object, of: str) -> list[Any]:
    """The elements of an iterable as a list; ``name`` and ``of`` are for the message.

    Raises ``InvalidRequestError`` for anything that isn't iterable, and for iterables that are
    hardly meant as lists: strings, bytes, and mappings, which would give their keys alone.
    """
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise InvalidRequestError(
            f"{name} must be a list or another iterable of {of}, not {describe(given)}; "
            "put a single one into a list, and take the values() of a mapping"
        )
    return list(given)


def check_query(query: object) -> None:
    """Pass a ``str`` that isn't blank. Raises ``InvalidRequestError`` for anything else."""
    if not isinstance(query, str):
        raise InvalidRequestError(f"query must be a str, not {describe(query)}")
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
            f"documents[{index}] must be a str or None, not {describe(document)}"
        )
    return document


def describe(given: object) -> str:
    """The type of ``given`` and its ``repr`` of at most 80 characters, for messages."""
    text = repr(given)
    return f"{type(given).__name__}: {text if len(text) <= 80 else text[:77] + '...'}"
