"""The work of one call on a model: texts to tokens to passes, and the logits put together."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from resift.call import Call
from resift.loading.model import LoadedModel
from resift.loading.passes import Done, Pass
from resift.loading.queue import Job
from resift.request import Request
from resift.scoring.scorer import Scored, Source
from resift.text.batch import Pair
from resift.text.tokenizer import TokenizedRequest
from resift.text.windows import TokenizedText

Ints = NDArray[np.int64]

# With a deadline, so many texts are read at a time: a few milliseconds' worth.
_TEXTS_AT_ONCE = 16
_CHARACTERS_AT_ONCE = 8_000
# The largest part of the time left that one pass may take, so that little is lost at the end.
_PART = 0.1
# Seconds from the end of the last pass to the caller.
_FINISH = 0.001

Slice = Sequence[tuple[int, int]]
"""Texts: the position of their request, and theirs in it."""


class Work:
    """Scores the texts of ``requests``; ``budget`` is the largest pass, in padded tokens."""

    def __init__(
        self, model: LoadedModel, requests: Sequence[Request], budget: int, call: Call
    ) -> None:
        self._model, self._requests, self._budget, self._call = model, requests, budget, call
        *self._firsts, self._total = accumulate((len(x.texts) for x in requests), initial=0)
        """Positions of each request's first text among all texts, and how many there are."""
        self._query_truncated = [False] * len(requests)
        self._truncated = np.zeros(self._total, dtype=np.int64)
        self._pairs: list[Pair] = []
        self._owners: list[int] = []
        """For each pair, the position of its text among all texts."""
        self._lengths: list[int] = []
        """For each pair, its tokens without padding."""
        self._logits: list[float] = []
        self._padded: list[int] = []
        """For each pair, its length as it was run; 0 where it wasn't."""
        self._done = 0

    def run(self) -> None:
        """Score all texts, or those that there is time for.

        Raises ``InvalidRequestError``, ``OverloadedError``, and what the model raises.
        """
        call, model = self._call, self._model
        if call.deadline is None:
            model.queue.check(self._total)
        job = model.job(
            self._budget,
            cancelled=lambda: call.is_cancelled,
            in_time=None if call.deadline is None else self._in_time,
            at_once=call.deadline is None and not call.watched,
        )
        job.pairs = self._pairs
        with closing(job):
            slices = self._slices()
            self._read(next(slices, []), job)
            for each in slices:
                if job.outstanding > 2 * model.backend.workers:
                    self._wait(job, left=2 * model.backend.workers)
                if job.over or not self._may_read(each):
                    break
                self._read(each, job)
            self._wait(job, left=0)
        if job.admitted_at <= job.began:
            call.watch.add_queue(job.began - job.admitted_at)

    def answers(self, source: Source) -> list[Scored]:
        """The answer to each request, after ``run``."""
        owners = np.array(self._owners, dtype=np.intp)
        padded = np.array(self._padded, dtype=np.int64)
        ran = padded > 0
        lengths = np.where(ran, np.array(self._lengths, dtype=np.int64), 0)
        logits = np.full(self._total, -np.inf, dtype=np.float32)
        with np.errstate(invalid="ignore"):
            # A window that is NaN makes its text NaN.
            np.maximum.at(logits, owners, np.array(self._logits, dtype=np.float32))
        windows = np.bincount(owners, minlength=self._total)
        pairs = np.bincount(owners, ran, self._total).astype(np.int64)
        scored = (windows > 0) & (pairs == windows)
        logits[~scored] = np.nan
        tokens = np.bincount(owners, lengths, self._total)
        spent = np.bincount(owners, padded, self._total)
        found = []
        bounds = [*self._firsts, self._total]
        for at, (start, stop) in enumerate(pairwise(bounds)):
            own = slice(start, stop)
            found.append(
                Scored(
                    logits=logits[own],
                    scored=scored[own],
                    pairs=pairs[own],
                    truncated_tokens=np.where(scored[own], self._truncated[own], 0),
                    source=source,
                    query_truncated=self._query_truncated[at],
                    tokens=int(tokens[own].sum()),
                    padded_tokens=int(spent[own].sum()),
                    late=None if scored[own].all() else ~scored[own],
                )
            )
        return found

    @property
    def _all_pairs(self) -> int:
        return max(self._total, len(self._pairs)) if self._call.deadline else len(self._pairs)

    def _slices(self) -> Iterator[Slice]:
        """Texts in the order in which they are read: with a deadline, in the order given."""
        if self._call.deadline is None:
            numbered = enumerate(self._requests)
            yield [(at, place) for at, each in numbered for place in range(len(each.texts))]
            return
        found: list[tuple[int, int]] = []
        characters = 0
        # Of several requests, each one's first comes before any second.
        for place in range(max((len(request.texts) for request in self._requests), default=0)):
            for at, request in enumerate(self._requests):
                if place >= len(request.texts):
                    continue
                size = len(request.texts[place])
                full = len(found) == _TEXTS_AT_ONCE or characters + size > _CHARACTERS_AT_ONCE
                if found and full:
                    yield found
                    found, characters = [], 0
                found.append((at, place))
                characters += size
        if found:
            yield found

    def _read(self, which: Slice, job: Job) -> None:
        """Tokenize texts, and queue their pairs."""
        first = len(self._pairs)
        start = time.perf_counter()
        with self._call.watch.phase("tokenize"), self._model.reading:
            texts: defaultdict[int, list[str]] = defaultdict(list)
            for at, place in which:
                texts[at].append(self._requests[at].texts[place])
            read = {at: self._tokenize(self._requests[at], own) for at, own in texts.items()}
            for at, place in which:
                tokens, by_text = read[at]
                text = by_text[self._requests[at].texts[place]]
                self._query_truncated[at] = tokens.query_truncated
                owner = self._firsts[at] + place
                self._truncated[owner] = text.truncated_tokens
                self._owners += [owner] * len(text.windows)
                self._pairs += [Pair(tokens.query, window) for window in text.windows]
        self._model.costs.learn_reading(self._characters(which), time.perf_counter() - start)
        new = self._pairs[first:]
        self._logits += [np.nan] * len(new)
        self._padded += [0] * len(new)
        length, padded = self._model.reader.tokenizer.length, self._model.padded_length
        self._lengths += map(length, new)
        self._call.watch.planned(len(new), sum(self._lengths[first:]))
        lengths = [padded(each) for each in self._lengths[first:]]
        in_order = self._call.deadline is not None
        budget = self._small_budget(max(lengths, default=1)) if in_order else self._budget
        passes = self._model.passes(lengths, budget, in_order=in_order)
        job.add([Pass([first + at for at in each.pairs], each.length) for each in passes])

    def _small_budget(self, length: int) -> int:
        """Tokens of a pass that takes a small part of the time that is left."""
        seconds = self._model.costs.of_pass(1, length) / length
        if not seconds:
            return self._budget
        return max(1, min(self._budget, int(_PART * self._call.remaining / seconds)))

    def _tokenize(
        self, request: Request, texts: Sequence[str]
    ) -> tuple[TokenizedRequest, Mapping[str, TokenizedText]]:
        """The request with some texts, and the tokens of all of its texts that were read."""
        reader, memo = self._model.reader, self._call.memo
        # In a cascade, the second scorer gets some of the texts again, and may share the tokenizer.
        key = (reader.tokenizer, request.query)
        known: dict[str, TokenizedText]
        tokens, known = memo.get(key, (None, {}))
        new = tuple(text for text in texts if text not in known)
        if tokens is None or new:
            tokens = reader.tokenize(replace(request, texts=new), self._call.options)
            known.update(zip(new, tokens.texts, strict=True))
            memo[key] = tokens, known
        return tokens, known

    def _wait(self, job: Job, left: int) -> None:
        """Take results until so few passes are ``left``."""
        with self._call.watch.phase("infer"):
            if not self._done:
                self._call.step(0, self._all_pairs)
            while job.outstanding > left:
                for result in job.next(self._call.remaining):
                    self._take(result)
                self._call.step(self._done, self._all_pairs)

    def _take(self, result: Done) -> None:
        for at, logit in zip(result.pairs, result.logits.tolist(), strict=True):
            self._logits[at], self._padded[at] = logit, result.length
        self._done += len(result.pairs)

    def _in_time(self, found: Pass) -> bool:
        seconds = self._model.costs.of_pass(len(found.pairs), found.length)
        return self._call.remaining >= seconds + _FINISH

    def _may_read(self, which: Slice) -> bool:
        seconds = self._model.costs.of_reading(self._characters(which))
        return self._call.remaining >= seconds + _FINISH

    def _characters(self, which: Slice) -> int:
        return sum(len(self._requests[at].texts[place]) for at, place in which)
