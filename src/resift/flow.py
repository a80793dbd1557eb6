"""The way from checked requests to rankings."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from resift.call import Call
from resift.errors import NonFiniteScoreError
from resift.options import RankOptions
from resift.prior import Prior, resolve_prior, warn_of_scores
from resift.ranking import Counts, RankedDocument, Ranking, Timings
from resift.request import Request
from resift.scoring.scorer import Scored, Scorer
from resift.selection import select_documents


def rank_all(scorer: Scorer, requests: Sequence[Request], call: Call) -> list[Ranking]:
    """Rank each request's documents. If no request has any, the scorer isn't called.

    Raises what the scorer raises, and ``NonFiniteScoreError``.
    """
    if not any(request.texts for request in requests):
        nothing = Scored.nothing(0, scorer.source)
        return [_ranking(each, nothing, None, (), call.watch.timings()) for each in requests]
    answers = scorer.score(requests, call)
    with call.watch.phase("rank"):
        priors = [resolve_prior(call.options.prior, each.source.place_weight) for each in answers]
        kept = [
            _select(*each, call.options) for each in zip(requests, answers, priors, strict=True)
        ]
    timings = call.watch.timings()
    return [_ranking(*each, timings) for each in zip(requests, answers, priors, kept, strict=True)]


def _select(
    request: Request, answer: Scored, prior: Prior | None, options: RankOptions
) -> tuple[RankedDocument, ...]:
    slots = np.array(request.slots, dtype=np.intp)
    indices = np.flatnonzero(answer.scored[slots])
    logits = answer.logits[slots[indices]]
    wrong = indices[~np.isfinite(logits)].tolist()
    if wrong:
        source = answer.source
        raise NonFiniteScoreError(
            model=source.model, backend=source.backend, query=request.query, indices=wrong
        )
    posteriors = logits.astype(np.float64)
    if prior is not None:
        warn_of_scores(prior, request.first_stage_scores)
        posteriors += prior(request.places, request.first_stage_scores)[indices]
    truncated = answer.truncated_tokens[slots].tolist()
    return select_documents(logits, posteriors, indices.tolist(), truncated, options)


def _ranking(
    request: Request,
    answer: Scored,
    prior: Prior | None,
    results: tuple[RankedDocument, ...],
    timings: Timings,
) -> Ranking:
    slots = np.array(request.slots, dtype=np.intp)
    source = answer.source
    return Ranking(
        results=results,
        model=source.model,
        revision=source.revision,
        backend=source.backend,
        device=source.device,
        precision=source.precision,
        status=source.status,
        query_truncated=answer.query_truncated,
        prior=prior,
        timings=timings,
        counts=Counts(
            documents=len(slots),
            pairs=int(answer.pairs.sum()),
            tokens=answer.tokens,
            padded_tokens=answer.padded_tokens,
            truncated_documents=int(np.count_nonzero(answer.truncated_tokens[slots])),
            pruned_documents=int(np.count_nonzero(~answer.scored[slots])),
        ),
    )
