"""A cascade of scorers: each scores only what those before it find promising."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from resift.call import Call
from resift.errors import InvalidRequestError
from resift.prior import Prior, resolve_prior
from resift.ranking import Stage, Status
from resift.request import Request
from resift.scales import LOGIT
from resift.scoring.asking import ask
from resift.scoring.cuts import Best, Kept, Margin, as_cut
from resift.scoring.ready import check_is_scorer
from resift.scoring.scorer import Scored, Scorer, Source, rebuilt

_T = TypeVar("_T")

# Of the time left until a deadline, so much is the next scorer's, unless it is the last one.
_SHARE = 0.5


class Cascade:
    """Scorers from the fastest to the best: each but the last leaves fewer documents to the next.

    ``keep`` has an entry for each scorer but the last. A number is how many documents go on, the
    best by that scorer's estimates; it isn't asked where there are no more than that. A ``Margin``
    keeps what can still reach ``top_n``, where a call asks to prune. A prior is added to estimates
    too. What is cut is left out of the ranking, and all logits are those of the last scorer.

    Raises ``InvalidRequestError`` for fewer than two scorers, and for a ``keep`` that doesn't fit.
    """

    def __init__(self, scorers: Sequence[Scorer], keep: Sequence[int | Margin]) -> None:
        self._scorers = _listed("scorers", scorers, "[small, large]")
        for index, scorer in enumerate(self._scorers):
            check_is_scorer(f"scorers[{index}]", scorer)
        given = _listed("keep", keep, "[30]")
        if len(self._scorers) < 2 or len(given) != len(self._scorers) - 1:
            raise InvalidRequestError(
                "a cascade has at least two scorers, and an entry of keep for each but the last, "
                f"such as Cascade([small, large], keep=[30]): got {len(self._scorers)} scorers and "
                f"keep={given!r}"
            )
        self._cuts = [as_cut(f"keep[{index}]", each) for index, each in enumerate(given)]

    @property
    def source(self) -> Source:
        """The last scorer's source."""
        return self._scorers[-1].source

    def warm_up(self, call: Call) -> None:
        """Load every scorer, those before a ``Margin`` only where the call asks to prune."""
        self._scorers[-1].warm_up(call)
        for scorer, cut in zip(self._scorers, self._cuts, strict=False):
            if not isinstance(cut, Margin) or call.options.prune == "auto":
                scorer.warm_up(call)

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:
        """Answer each request; progress is that of the last scorer, and of what was cut."""
        everything = [_Left.of(request) for request in requests]
        for scorer, cut in zip(self._scorers, self._cuts, strict=False):
            chosen = [left for left in everything if cut.applies(left.request, call)]
            if not chosen:
                continue
            prior = self._prior(call)
            estimated = ask(
                scorer,
                [left.request for left in chosen],
                _shown(call.part(_SHARE), everything, last=False),
            )
            for left, estimate in zip(chosen, estimated, strict=True):
                # A prior is log-odds, which can be added to logits alone.
                added = prior if estimate.source.scale == LOGIT else None
                left.keep(estimate, cut.kept(estimate.logits, left.request, call, added))
        answers = ask(
            self._scorers[-1],
            [left.request for left in everything],
            _shown(call, everything, last=True),
        )
        return [left.joined(answer) for left, answer in zip(everything, answers, strict=True)]

    def rebuilt(self, wrap: Callable[[Scorer], Scorer]) -> Cascade:
        """The same cascade, with ``wrap`` around each model in it."""
        return Cascade([rebuilt(each, wrap) for each in self._scorers], self._keep)

    @property
    def _keep(self) -> list[int | Margin]:
        return [each.documents if isinstance(each, Best) else each for each in self._cuts]

    def _prior(self, call: Call) -> Prior | None:
        if call.options.prior == "auto":
            # Its card has the weight.
            self._scorers[-1].warm_up(call)
        return resolve_prior(call.options.prior, self.source.place_weight)

    def __repr__(self) -> str:
        return f"Cascade({self._scorers!r}, keep={self._keep!r})"


@dataclass(slots=True)
class _Left:
    """The rest of a request that the scorers so far left."""

    request: Request
    """The query, with the texts that the next scorer gets."""
    at: NDArray[np.intp]
    """The positions of those texts among those given."""
    late: NDArray[np.bool_]
    """``[texts given]``; where one of the scorers had no time for the text."""
    truncated_tokens: NDArray[np.int64]
    """``[texts given]``"""
    pairs: int = 0
    """Pairs of what was cut."""
    status: Status = "complete"
    stages: tuple[Stage, ...] = ()

    @classmethod
    def of(cls, request: Request) -> _Left:
        texts = len(request.texts)
        return cls(request, np.arange(texts), np.zeros(texts, np.bool_), np.zeros(texts, np.int64))

    def keep(self, estimate: Scored, kept: Kept) -> None:
        """Cut what isn't ``kept``, and what has no estimate because it was late or left out."""
        kept = kept & estimate.scored
        self._note(estimate)
        self.pairs += int(estimate.pairs[~kept].sum())
        self.at = self.at[kept]
        self.request = self.request.only(kept.tolist())

    def joined(self, answer: Scored) -> Scored:
        """The last scorer's answer, put in place among all texts."""
        self._note(answer)
        texts = len(self.late)
        logits = np.full(texts, np.nan, dtype=answer.logits.dtype)
        scored = np.zeros(texts, dtype=np.bool_)
        pairs = np.zeros(texts, dtype=np.int64)
        at = self.at
        logits[at], scored[at], pairs[at] = answer.logits, answer.scored, answer.pairs
        return replace(
            answer,
            logits=logits,
            scored=scored,
            pairs=pairs,
            truncated_tokens=self.truncated_tokens,
            late=self.late if self.late.any() else None,
            source=replace(answer.source, status=self.status),
            stages=self.stages,
        )

    def _note(self, answer: Scored) -> None:
        if answer.late is not None:
            self.late[self.at] = answer.late
        self.truncated_tokens[self.at] = answer.truncated_tokens
        self.stages += answer.stages
        # The last scorer's is what was asked for; an estimate's matters where that says nothing.
        if answer.source.status != "complete":
            self.status = answer.source.status


def _shown(call: Call, everything: Sequence[_Left], *, last: bool) -> Call:
    """The call with its progress among all pairs; while estimates are made, it stands still."""
    cut = sum(left.pairs for left in everything)
    return replace(
        call, progress=lambda done, total: call.progress(cut + (done if last else 0), cut + total)
    )


def _listed(name: str, given: Sequence[_T], example: str) -> list[_T]:
    if not isinstance(given, (list, tuple)):
        raise InvalidRequestError(f"{name} must be a list such as {example}, not {given!r}")
    return list(given)
