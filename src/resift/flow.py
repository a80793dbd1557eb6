"""The way from checked requests to rankings."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from resift.calibrations import ModelCalibration
from resift.call import Call
from resift.errors import InvalidRequestError
from resift.options import RankOptions
from resift.prior import Prior, resolve_prior, warn_of_scores
from resift.ranking import Counts, RankedDocument, Ranking, Timings
from resift.request import Request
from resift.scales import on_scale
from resift.scoring.asking import ask, non_finite
from resift.scoring.scorer import Scored, Scorer
from resift.selection import select_documents

_logger = logging.getLogger(__name__)


def rank_all(scorer: Scorer, requests: Sequence[Request], call: Call) -> list[Ranking]:
    """Rank each request's documents. If no request has any, the scorer isn't called.

    Raises what the scorer raises, and ``NonFiniteScoreError``; with ``on_error="first_stage"``,
    ``InvalidRequestError`` alone.
    """
    if not any(request.texts for request in requests):
        nothing = _Answer(Scored.nothing(0, scorer.source))
        return [nothing.ranking(each, call.watch.timings()) for each in requests]
    try:
        answers = _answers(scorer, requests, call)
    except InvalidRequestError:
        raise
    # Whatever it is, the documents are there, in the order given.
    except Exception as error:
        if call.options.on_error != "first_stage":
            raise
        _logger.warning("%s. The first stage's order stands", error, exc_info=True)
        answers = [_unanswered(scorer, each, call.options, error) for each in requests]
    timings = call.watch.timings()
    return [
        answer.ranking(request, timings) for answer, request in zip(answers, requests, strict=True)
    ]


def _answers(scorer: Scorer, requests: Sequence[Request], call: Call) -> list[_Answer]:
    # Now, so that nothing is done in vain.
    on_scale(call.options, scorer.source.scale, scorer.source.model)
    asked = [each.first(call.options.max_documents) for each in requests]
    scored = ask(scorer, asked, call)
    with call.watch.phase("rank"):
        return [
            _selected(first, answer, len(request.slots), call.options)
            for request, first, answer in zip(requests, asked, scored, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class _Answer:
    """A scorer's answer to a request, and the documents that it selects."""

    scored: Scored
    results: tuple[RankedDocument, ...] = ()
    documents: int = 0
    """Number of documents that have a score."""
    unscored: int = 0
    """Number of documents that weren't scored and weren't pruned."""
    truncated: int = 0
    prior: Prior | None = None
    error: str | None = None

    def ranking(self, request: Request, timings: Timings) -> Ranking:
        """The whole ranking."""
        scored, source = self.scored, self.scored.source
        partial = self.unscored and self.error is None
        return Ranking(
            results=self.results,
            model=source.model,
            revision=source.revision,
            backend=source.backend,
            device=source.device,
            precision=source.precision,
            scale=source.scale,
            status="partial" if partial else source.status,
            query_truncated=scored.query_truncated,
            prior=self.prior,
            error=self.error,
            timings=timings,
            counts=Counts(
                documents=len(request.slots),
                scored=self.documents,
                cached=scored.cached,
                pairs=int(scored.pairs.sum()),
                tokens=scored.tokens,
                padded_tokens=scored.padded_tokens,
                truncated_documents=self.truncated,
                pruned_documents=len(request.slots) - self.documents - self.unscored,
                repairs=scored.repairs,
            ),
            stages=scored.stages,
        )


def _selected(asked: Request, scored: Scored, documents: int, options: RankOptions) -> _Answer:
    """Select from the first documents, which a scorer was asked about, and append the others."""
    error = non_finite(asked, scored)
    if error is not None:
        raise error
    slots = np.array(asked.slots, dtype=np.intp)
    indices = np.flatnonzero(scored.scored[slots])
    logits = scored.logits[slots[indices]]
    options = on_scale(options, scored.source.scale, scored.source.model)
    if len(indices) and isinstance(options.normalization, ModelCalibration):
        options.normalization.check_model(scored.source.model, scored.source.identity)
    posteriors = logits.astype(np.float64)
    prior = resolve_prior(options.prior, scored.source.place_weight)
    if prior is not None:
        warn_of_scores(prior, asked.first_stage_scores)
        posteriors += prior(asked.places, asked.first_stage_scores)[indices]
    late = [] if scored.late is None else np.flatnonzero(scored.late[slots]).tolist()
    unscored = [*late, *range(len(slots), documents)]
    truncated = scored.truncated_tokens[slots]
    results = select_documents(
        logits,
        posteriors,
        indices.tolist(),
        unscored,
        truncated.tolist(),
        options,
        scored.source.scale,
    )
    return _Answer(
        scored=scored,
        results=results,
        documents=len(indices),
        unscored=len(unscored),
        truncated=int(np.count_nonzero(truncated)),
        prior=prior,
    )


def _unanswered(
    scorer: Scorer, request: Request, options: RankOptions, error: Exception
) -> _Answer:
    """The order given, without scores."""
    nothing = np.zeros(0)
    everything = range(len(request.slots))
    return _Answer(
        scored=Scored.nothing(len(request.texts), replace(scorer.source, status="fallback")),
        results=select_documents(nothing.astype(np.float32), nothing, [], everything, [], options),
        unscored=len(everything),
        error=f"{type(error).__name__}: {error}",
    )


def scores_in_input_order(rankings: Sequence[Ranking]) -> list[list[float]]:
    """The score of every document, in the order given. Raises ``InvalidRequestError`` without."""
    for ranking in rankings:
        left_out = ranking.counts.pruned_documents
        if left_out:
            raise InvalidRequestError(
                f"the scorer left out {left_out} of {ranking.counts.documents} documents, and "
                "score() needs a score for each; use rank(), or a scorer that scores them all"
            )
    return [
        [_score(result) for result in sorted(ranking, key=lambda result: result.index)]
        for ranking in rankings
    ]


def _score(result: RankedDocument) -> float:
    if result.score is None:
        raise InvalidRequestError(
            f"documents[{result.index}] has no score, and score() needs one for each; use rank(), "
            "which returns the others"
        )
    return result.score
