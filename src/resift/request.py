"""One request, checked: a query and the texts to rank for it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, compress
from numbers import Real
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
    places: tuple[int, ...]
    """For each document, its place in the order given, from 0."""
    first_stage_scores: tuple[float, ...] | None = None
    """For each document, the score that it came with, NaN where it had none."""

    @classmethod
    def of(
        cls,
        query: str,
        documents: Iterable[str | None],
        first_stage_scores: Iterable[float | None] | None = None,
    ) -> Request:
        """Check a query, its documents, and the scores that they came with.

        A document that is ``None`` has the text ``""``. Raises ``InvalidRequestError`` for a query
        that isn't a ``str`` or is blank, for documents that aren't an iterable of ``str`` and
        ``None``, and for scores that aren't one number or ``None`` for each document.
        """
        check_query(query)
        documents = read_once("documents", documents, "str")
        slot_of: dict[str, int] = {}
        slots = [
            slot_of.setdefault(_check_document(index, document), len(slot_of))
            for index, document in enumerate(documents)
        ]
        scores = _check_scores(first_stage_scores, len(slots))
        texts = tuple(map(encodable, slot_of))
        return cls(encodable(query), texts, tuple(slots), tuple(range(len(slots))), scores)

    @classmethod
    def of_all(
        cls,
        requests: Iterable[tuple[str, Iterable[str | None]]],
        first_stage_scores: Iterable[Iterable[float | None] | None] | None = None,
    ) -> list[Request]:
        """Check several requests, each a pair of a query and its documents; see ``of``.

        ``first_stage_scores`` has those of each request. Raises ``InvalidRequestError``; where
        there are several requests, its message begins with ``requests[index]``.
        """
        given = read_once("requests", requests, "pairs of a query and its documents")
        scores = _scores_by_request(first_stage_scores, len(given))
        checked = []
        for index, request in enumerate(given):
            if not (isinstance(request, (tuple, list)) and len(request) == 2):
                raise InvalidRequestError(
                    f"requests[{index}] must be a pair of a query and its documents, "
                    f"not {describe(request)}"
                )
            try:
                query, documents = request
                checked.append(cls.of(query, documents, scores[index]))
            except InvalidRequestError as error:
                if len(given) == 1:
                    raise
                raise InvalidRequestError(f"requests[{index}]: {error}") from error
        return checked

    def first(self, documents: int | None) -> Request:
        """The same query, with its first documents; ``None`` for all of them."""
        if documents is None or documents >= len(self.slots):
            return self
        slots = self.slots[:documents]
        # Texts are in order of first appearance.
        return replace(
            self,
            texts=self.texts[: max(slots) + 1],
            slots=slots,
            places=self.places[:documents],
            first_stage_scores=self.first_stage_scores and self.first_stage_scores[:documents],
        )

    def only(self, kept: Sequence[bool]) -> Request:
        """The same query, with the texts that are ``kept`` (``bool [texts]``) and their documents.

        The texts are renumbered; documents keep their places.
        """
        if all(kept):
            return self
        places = list(accumulate(kept, initial=0))
        left = [kept[slot] for slot in self.slots]
        scores = self.first_stage_scores
        return replace(
            self,
            texts=tuple(compress(self.texts, kept)),
            slots=tuple(places[slot] for slot in self.slots if kept[slot]),
            places=tuple(compress(self.places, left)),
            first_stage_scores=scores and tuple(compress(scores, left)),
        )


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


def _check_scores(given: object, documents: int) -> tuple[float, ...] | None:
    if given is None:
        return None
    scores = read_once("first_stage_scores", given, "numbers and None")
    if len(scores) != documents:
        raise InvalidRequestError(
            f"first_stage_scores must have one for each of the {documents} documents, or None for "
            f"those without: got {len(scores)}"
        )
    for index, score in enumerate(scores):
        if score is not None and (not isinstance(score, Real) or isinstance(score, bool)):
            raise InvalidRequestError(
                f"first_stage_scores[{index}] must be a number or None, not {describe(score)}"
            )
    return tuple(float("nan") if score is None else float(score) for score in scores)


def _scores_by_request(given: object, requests: int) -> list[Any]:
    if given is None:
        return [None] * requests
    scores = read_once("first_stage_scores", given, "a list of scores, or None, for each request")
    if len(scores) != requests:
        raise InvalidRequestError(
            f"first_stage_scores must have one list, or None, for each of the {requests} requests: "
            f"got {len(scores)}"
        )
    return scores


def describe(given: object) -> str:
    """The type of ``given`` and its ``repr`` of at most 80 characters, for messages."""
    text = repr(given)
    return f"{type(given).__name__}: {text if len(text) <= 80 else text[:77] + '...'}"
