"""The logits of candidates: from a model here, or as they were recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from resift import Reranker
from resift.calibrating.fitting import Bound, bind
from resift.errors import InvalidRequestError
from resift.files.recorded import Recorded, RecordedDocument
from resift.prior import Prior

_QUERIES_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Scores:
    """The posteriors of documents, and the model that they belong to."""

    values: dict[tuple[str, str], float]
    """By the ids of query and document: the logit, with the prior where there is one."""
    bound: Bound
    prior: Prior | None = None


def score_all(searched: Sequence[Recorded], reranker: Reranker) -> Scores:
    """Score every candidate with a model here.

    Raises ``InvalidRequestError`` for a query or a candidate without text, and for a model that
    gives no logits.
    """
    values: dict[tuple[str, str], float] = {}
    prior: Prior | None = None
    for start in range(0, len(searched), _QUERIES_AT_ONCE):
        group = searched[start : start + _QUERIES_AT_ONCE]
        rankings = reranker.rank_many(
            [_request(each) for each in group],
            first_stage_scores=[[c.score for c in each.candidates] for each in group],
            normalization="auto",
        )
        for each, ranking in zip(group, rankings, strict=True):
            prior = ranking.prior or prior
            for result in ranking:
                if result.posterior is None:
                    raise InvalidRequestError(
                        f"{ranking.model} gives no logits, or left documents unscored, so there is "
                        "nothing to calibrate; expected a model that scores each document"
                    )
                values[each.query_id, each.candidates[result.index].id] = result.posterior
    return Scores(values, bind(reranker), prior)


def recorded(searched: Iterable[Recorded]) -> Scores:
    """Take the logits that were recorded; the model is known by its name alone.

    Raises ``InvalidRequestError`` where a logit or the model is missing, or there are several.
    """
    values: dict[tuple[str, str], float] = {}
    models = set()
    for each in searched:
        models.add(each.model)
        for at, candidate in enumerate(each.candidates):
            if candidate.logit is None:
                raise InvalidRequestError(
                    f"query {each.query_id!r}: candidates[{at}] has no 'logit'; leave "
                    "--recorded out, so that a model here scores its text"
                )
            values[each.query_id, candidate.id] = candidate.logit
    names = sorted(str(model) for model in models)
    if len(models) != 1 or None in models:
        raise InvalidRequestError(
            f"recorded logits must be of one model, which 'model' names; found {names}"
        )
    return Scores(values, Bound(names[0]))


def needed(searched: Iterable[Recorded], *, all_of_them: bool) -> list[Recorded]:
    """The queries with the candidates that have a grade, or ``all_of_them``; none without any."""
    kept = [
        replace(
            each,
            candidates=tuple(c for c in each.candidates if all_of_them or c.grade is not None),
        )
        for each in searched
        if any(c.grade is not None for c in each.candidates)
    ]
    return [each for each in kept if each.candidates]


def _request(each: Recorded) -> tuple[str, list[str]]:
    if each.query is None:
        raise InvalidRequestError(
            f"query {each.query_id!r} has no text, so no model can score it; record with text, or "
            "give --recorded"
        )
    return each.query, [_text(each, at, c) for at, c in enumerate(each.candidates)]


def _text(each: Recorded, at: int, candidate: RecordedDocument) -> str:
    if candidate.text is None:
        raise InvalidRequestError(
            f"query {each.query_id!r}: candidates[{at}] has no text, so no model can score it; "
            "record with text, or give --recorded"
        )
    return candidate.text
