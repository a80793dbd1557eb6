"""The share of long documents and queries that a server reads.

Two documents that are equal but for one sentence have the same score where it isn't read. That
holds for any model, so nothing has to be known of the one there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from resift.compare.findings import Finding
from resift.compare.fitting import Fit, Grain, expected
from resift.compare.order import failure
from resift.compare.pairs import LENGTHS, LONG, LONG_QUERIES, LONG_QUERY, UP_TO
from resift.compare.tables import Table, Tables, Values, spread

_USUAL = (64, 128, 256, 512, 1024, 2048)
"""Tokens that models and servers cut at; a word of the filler is somewhat more than a token."""
_LONGEST = LENGTHS[-1]


@dataclass(frozen=True, kw_only=True, slots=True)
class Eye:
    """Sees differences of scores, as far as noise and rounding let it."""

    found: Fit | None
    requestwise: bool
    grain: Grain
    noise: float
    """By how much a score differs from itself."""
    width: float
    """The spread of all scores."""

    def read_there(self, one: Values, other: Values) -> bool | None:
        """Whether a sentence was read that two texts differ in; ``None`` where nobody can tell."""
        difference, size = np.abs(one - other), np.maximum(np.abs(one), np.abs(other))
        if not np.isfinite(difference).all():
            return None
        if (difference > np.maximum(3 * self.noise, 1e-4 * size)).any():
            return True
        return False if (difference <= np.maximum(self.noise, 1e-6 * size)).all() else None

    def would_show(self, one: Values, other: Values) -> bool:
        """Whether these logits here would be different scores there, if it were the same model."""
        if self.found is None or self.requestwise:
            quiet = self.noise < 0.001 * self.width
            return self.grain.name is None and quiet and bool((np.abs(one - other) > 0.05).any())
        first, second = expected(self.found, one), expected(self.found, other)
        blur = self.grain.half(first) + self.grain.half(second) + self.noise
        return bool((np.abs(first - second) > 4 * blur).any())

    def sees(self, there: tuple[Values, Values], here: tuple[Values, Values]) -> bool | None:
        """``read_there``, where a sentence that isn't read would show."""
        read = self.read_there(*there)
        read_here = bool((np.abs(here[0] - here[1]) > 1e-3).any())
        return None if read is False and read_here and not self.would_show(*here) else read


@dataclass(frozen=True, slots=True)
class _Seen:
    """Whether a sentence is read there and here, for each place of it."""

    there: dict[str, bool | None]
    here: dict[str, bool]

    def differs(self) -> list[str]:
        return [
            name
            for name, read in self.there.items()
            if read is not None and read != self.here[name]
        ]


def judge_length(tables: Tables, eye: Eye) -> Iterator[Finding]:
    """The length from which on a document is cut, and where, or refused."""
    whole = tables.get(LONG.name)
    if whole is None:
        return
    if not whole.is_answered:
        yield _judge_refusal(tables, whole)
        return
    seen = _look(whole, eye)
    evidence = {"there": seen.there, "here": seen.here}
    if not seen.differs():
        yield Finding(
            topic="length", verdict="same", said=f"reads {_reach(seen.here)}", evidence=evidence
        )
        return
    yield Finding(
        topic="length",
        verdict="differs",
        said=f"reads {_reach(seen.there)}; here {_reach(seen.here)}",
        evidence=evidence,
        advice="set the same maximum length and the same side on both: max_length= here; there "
        "truncation, auto-truncate, max-model-len or max_tokens_per_doc",
    )


def _look(table: Table, eye: Eye) -> _Seen:
    names = [*(f"after {words} words" for words in LENGTHS), "before them", "in their middle"]
    there, here = {}, {}
    for place, name in enumerate(names):
        pair = slice(1 + 2 * place, 3 + 2 * place)
        scores, logits = table.there[pair], table.here[pair]
        halves = (logits[:1], logits[1:])
        there[name] = eye.sees((scores[:1], scores[1:]), halves)
        here[name] = bool(np.abs(logits[0] - logits[1]) > 1e-3)
    return _Seen(there, here)


def _reach(read: dict[str, bool | None] | dict[str, bool]) -> str:
    """Say what is read of a document, in words."""
    ends = [read[f"after {words} words"] for words in LENGTHS]
    start, middle = read["before them"], read["in their middle"]
    unread = [words for words, each in zip(LENGTHS, ends, strict=True) if each is False]
    if ends[-1] and start is False:
        return f"the end of {_LONGEST} words and not their beginning: the head is cut off"
    if ends[-1] and start and middle is False:
        return f"the beginning and the end of {_LONGEST} words and not their middle"
    if not unread:
        return f"documents of {_LONGEST} words whole"
    first = unread[0]
    last = max((words for words in LENGTHS if words < first), default=0)
    usual = [tokens for tokens in _USUAL if last <= tokens <= 1.5 * first]
    likely = f", as with {usual[0]} tokens" if usual else ""
    begins = "" if start is not False else ", and not the beginning of longer documents"
    return f"between {last} and {first} words from the beginning{likely}{begins}"


def _judge_refusal(tables: Tables, whole: Table) -> Finding:
    if whole.answer.failed == "unavailable":
        return failure("length", whole)
    steps = [(words, tables.get(each.name)) for words, each in zip(LENGTHS, UP_TO, strict=True)]
    taken = [words for words, table in steps if table is not None and table.is_answered]
    refused = [table for _, table in steps if table is not None and not table.is_answered]
    table = refused[0] if refused else whole
    evidence = {"status": table.answer.status, "why": table.answer.why, "taken_words": taken}
    how = "refused" if (table.answer.status or 500) < 500 else "not answered, as the server fails"
    if not refused:
        return Finding(
            topic="length",
            verdict="differs",
            said=f"a request of many long documents is {how}; each of them is taken by itself",
            evidence=evidence,
            advice="send fewer documents at a time, or raise the server's limit of tokens or bytes",
        )
    last = max(taken, default=0)
    first = next(words for words, each in steps if each is table)
    return Finding(
        topic="length",
        verdict="differs",
        said=f"one document of between {last} and {first} words or more is {how} (status "
        f"{table.answer.status}), and the whole request with it",
        evidence=evidence,
        advice="have the server cut what is too long (TEI: --auto-truncate), or cut documents "
        "before you send them",
    )


def judge_query(tables: Tables, eye: Eye) -> Iterator[Finding]:
    """Whether a long query is cut, or refused."""
    if any(each.name not in tables for each in LONG_QUERIES):
        return
    one, other = (tables[each.name] for each in LONG_QUERIES)
    for table in (one, other):
        if not table.is_answered:
            if table.answer.failed == "unavailable":
                yield failure("query", table)
                return
            evidence = {"status": table.answer.status, "why": table.answer.why}
            said = f"a query of more than {LONG_QUERY} words is refused"
            advice = "cut queries before you send them"
            yield Finding(
                topic="query", verdict="differs", said=said, evidence=evidence, advice=advice
            )
            return
    read = eye.sees((one.there, other.there), (one.here, other.here))
    here = bool(np.abs(one.here - other.here).max() > 1e-3)
    evidence = {"there": read, "here": here}
    if read is None or read == here:
        verb = "is read" if here else "isn't read"
        said = f"a question after {LONG_QUERY} words of the query {verb}"
        yield Finding(
            topic="query",
            verdict="unknown" if read is None else "same",
            said=said if read is not None else f"{said} here; there it can't be told",
            evidence=evidence,
        )
        return
    what = "is read there, and not here" if read else "isn't read there: the query is cut"
    yield Finding(
        topic="query",
        verdict="differs",
        said=f"a question after {LONG_QUERY} words of the query {what}",
        evidence=evidence,
        advice="put the question first, or set the same maximum length on both",
    )


def eye_of(
    tables: Tables, found: Fit | None, grain: Grain, noise: float, *, requestwise: bool
) -> Eye:
    """The differences that can be seen in these answers."""
    width = spread(tables["main"].there)
    return Eye(found=found, requestwise=requestwise, grain=grain, noise=noise, width=width)
