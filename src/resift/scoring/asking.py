"""Asking a scorer: what every answer has in common, and what makes one unusable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from resift.call import Call
from resift.errors import NonFiniteScoreError
from resift.ranking import Stage
from resift.request import Request
from resift.scoring.scorer import Scored, Scorer


def ask(scorer: Scorer, requests: Sequence[Request], call: Call) -> list[Scored]:
    """Have a scorer answer; without any text to score, it isn't called.

    An answer that says nothing of its stages was given by one model, and gets the stage of that.
    The time that loading took is left out of it.
    """
    before = call.watch.timings()
    if any(request.texts for request in requests):
        answers = scorer.score(requests, call)
    else:
        answers = [Scored.nothing(0, scorer.source) for _ in requests]
    after = call.watch.timings()
    seconds = after.total - before.total - (after.load - before.load)
    return [
        answer if answer.stages else replace(answer, stages=(_stage(answer, seconds),))
        for answer in answers
    ]


def _stage(answer: Scored, seconds: float) -> Stage:
    return Stage(
        model=answer.source.model,
        texts=len(answer.scored),
        pairs=int(answer.pairs.sum()),
        tokens=answer.tokens,
        padded_tokens=answer.padded_tokens,
        seconds=max(0.0, seconds),
    )


def non_finite(request: Request, answer: Scored) -> NonFiniteScoreError | None:
    """The error of an answer with a logit that is NaN or infinite; ``None`` where it has none."""
    slots = np.array(request.slots, dtype=np.intp)
    wrong = (answer.scored & ~np.isfinite(answer.logits))[slots]
    if not wrong.any():
        return None
    return NonFiniteScoreError(
        model=answer.source.model,
        backend=answer.source.backend,
        query=request.query,
        indices=np.array(request.places)[wrong].tolist(),
    )
