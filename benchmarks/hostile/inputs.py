"""Cases of what goes in: odd documents, an endless query, weights that aren't numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from subject import Loaded, Outcome, Subject, finite, right, said, same, wrong
from workloads import request

QUERY, PLAIN = request("short", 6, 1)
# As extraction from PDFs and broken encodings leave them.
BINARY = [
    "\x00\x01\x02\x7f" * 40,
    "half a pair: \ud83d",
    bytes(range(256)).decode("latin-1"),
    "\u202e\ufeff\ufffd\U000f0000",
    "word " * 200_000,
]


def none(subject: Subject) -> Outcome:
    """A None among documents."""
    return _odd(subject, [*PLAIN[:3], None, *PLAIN[3:]])


def empty(subject: Subject) -> Outcome:
    """Empty documents, then none at all."""
    loaded = subject.load()
    outcome = _tried(loaded, [*PLAIN[:3], "", "   ", *PLAIN[3:]])
    if outcome.word != "right":
        return outcome
    try:
        found = loaded.scores(QUERY, [])
    except (TypeError, ValueError) as error:
        return right(f"empty ones are scored; an empty list is refused: {said(error)}")
    except Exception as error:
        return wrong(f"empty ones are scored; an empty list fails: {said(error)}")
    return wrong(f"{len(found)} scores for no documents") if found else right("all are scored")


def duplicates(subject: Subject) -> Outcome:
    """The same text several times."""
    loaded = subject.load()
    documents = [PLAIN[0], PLAIN[1], PLAIN[0], PLAIN[2], PLAIN[0], PLAIN[1]]
    found = loaded.scores(QUERY, documents)
    if len(found) != len(documents):
        return wrong(f"{len(found)} scores for {len(documents)} documents")
    expected = [found[documents.index(text)] for text in documents]
    if not same(found, expected):
        return wrong(f"equal texts have different scores: {found}")
    return right("each has a score, equal ones the same")


def binary(subject: Subject) -> Outcome:
    """Control characters, half of a surrogate pair, all Latin-1 bytes, 1 MB; then bytes."""
    loaded = subject.load()
    for text in BINARY:
        outcome = _tried(loaded, [*PLAIN, text], strict=True)
        if outcome.word != "right":
            return Outcome(outcome.word, f"{text[:12]!a}: {outcome.note}")
    outcome = _tried(loaded, [*PLAIN, b"\x00\xff"])
    return Outcome(outcome.word, f"texts are scored; bytes: {outcome.note}")


def long_query(subject: Subject) -> Outcome:
    """A query of 10,000 tokens."""
    loaded = subject.load()
    query = " ".join([QUERY] * (10_000 // len(QUERY.split())))
    try:
        found = loaded.scores(query, PLAIN)
    except Exception as error:
        return _refused(loaded, error)
    if len(found) != len(PLAIN) or not finite(found):
        return wrong(f"scores: {found}")
    spread = max(found) - min(found)
    if spread <= 1e-6:
        return wrong("all documents have the same score: the query has left no room for them")
    return right("the query is cut, documents are told apart", spread=spread)


def nan(subject: Subject) -> Outcome:
    """One NaN in a layer's weights."""
    try:
        found = subject.load().scores(QUERY, PLAIN)
    except Exception as error:
        return right(f"refused: {said(error)}")
    if len(found) == len(PLAIN) and finite(found):
        return wrong("finite scores from weights that give none")
    return wrong(f"handed on as scores, without an error: {found[:3]}")


def _odd(subject: Subject, documents: Sequence[Any]) -> Outcome:
    return _tried(subject.load(), documents)


def _tried(loaded: Loaded, documents: Sequence[Any], *, strict: bool = False) -> Outcome:
    """Rank them. With ``strict`` all are str, and an error that isn't a ValueError is wrong."""
    try:
        found = loaded.scores(QUERY, documents)
    except Exception as error:
        if strict and not isinstance(error, ValueError):
            return wrong(f"an error that isn't true of a str: {said(error)}")
        return _refused(loaded, error)
    if len(found) != len(documents):
        return wrong(f"{len(found)} scores for {len(documents)} documents")
    return right("all are scored") if finite(found) else wrong(f"scores: {found}")


def _refused(loaded: Loaded, error: Exception) -> Outcome:
    """An error is an answer, if the library works on."""
    try:
        after = loaded.scores(QUERY, PLAIN)
    except Exception as second:
        return wrong(f"{said(error)}; then, on plain documents, {said(second)}")
    if len(after) != len(PLAIN) or not finite(after):
        return wrong(f"{said(error)}; then, on plain documents, {after}")
    return right(f"refused: {said(error)}")
