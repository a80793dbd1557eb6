"""Evidence in the first stage's order and scores beside the logits: fitted, and tested."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resift.errors import InvalidRequestError
from resift.evaluation.intervals import Difference, paired_bootstrap
from resift.evaluation.measures import in_order, ndcg
from resift.logistic import Floats, check_labels, fit_within
from resift.normalization import Calibration


@dataclass(frozen=True, kw_only=True, slots=True)
class Weights:
    """The numbers of a prior and of the calibration that was fitted with it."""

    place_weight: float
    score_weight: float
    score_centre: float
    calibration: Calibration


def log_odds(
    places: Floats,
    scores: Floats | None,
    place_weight: float,
    score_weight: float,
    score_centre: float,
) -> Floats:
    """The formula of a prior: ``float64 [documents]`` of places and, where given, of scores.

    A score that isn't finite adds nothing.
    """
    found = -place_weight * np.log1p(places)
    if scores is not None and score_weight:
        centred = scores - score_centre
        found += score_weight * np.where(np.isfinite(centred), centred, 0.0)
    return found


@dataclass(frozen=True, kw_only=True, slots=True)
class PriorReport:
    """Test of a fitted prior, on queries that it wasn't fitted on.

    Queries are halved; each half is ranked with the prior that was fitted on the other. nDCG@10 is
    over the documents given, from 0 to 1, and queries without a relevant one are left out.
    """

    queries: int
    """Number of queries that were compared."""
    first_stage: float
    """Mean nDCG@10 of the order given."""
    reranker: float
    """Mean nDCG@10 of the logits alone."""
    with_prior: float
    """Mean nDCG@10 of the logits with the prior."""
    over_first_stage: Difference
    """``with_prior`` less ``first_stage``."""
    over_reranker: Difference
    """``with_prior`` less ``reranker``."""
    notes: tuple[str, ...]
    """Parts left out of the fit, and why."""

    @property
    def advice(self) -> str:
        """One sentence: whether to rerank, and with the prior."""
        if self.over_first_stage.high < 0:
            return "Don't use this reranker here: the first stage alone is better."
        if self.over_first_stage.low <= 0:
            return "The first stage alone may be as good: these queries show no gain for certain."
        if self.over_reranker.low > 0:
            return "Rerank with this prior: it is better than either alone."
        if self.over_reranker.high < 0:
            return "Rerank without a prior: it is better."
        return "Rerank; with the prior or without makes no certain difference here."

    def __str__(self) -> str:
        return (
            f"nDCG@10 over {self.queries} queries: first stage {self.first_stage:.4f}, reranker "
            f"{self.reranker:.4f}, with prior {self.with_prior:.4f}; over the first stage "
            f"{self.over_first_stage}, over the reranker {self.over_reranker}. {self.advice}"
            + "".join(f" {note}" for note in self.notes)
        )


@dataclass(frozen=True, slots=True)
class Judged:
    """Judged documents, those of a query together: arrays of ``[documents]``."""

    logits: Floats
    places: Floats
    labels: Floats
    scores: Floats | None
    """NaN where the first stage gave none."""
    query: NDArray[np.intp]
    """Number of each document's query, from 0."""

    @classmethod
    def of(
        cls,
        logits: Sequence[float],
        places: Sequence[int],
        labels: Sequence[bool | int],
        scores: Sequence[float | None] | None,
        queries: Sequence[object] | None,
    ) -> Judged:
        """Check what is to be fitted.

        Raises ``InvalidRequestError`` for lengths that differ, values that aren't numbers, logits
        that aren't finite, places that aren't whole numbers from 0, and labels but 0 and 1.
        """
        x, y = _floats("logits", logits), _floats("labels", labels)
        at = _floats("places", places)
        given = None if scores is None else _floats("first_stage_scores", scores)
        for name, values in (("places", at), ("labels", y), ("first_stage_scores", given)):
            if values is not None and values.shape != x.shape:
                raise InvalidRequestError(
                    f"expected as many {name} as logits, got {len(values)} and {len(x)}"
                )
        if not np.isfinite(x).all():
            raise InvalidRequestError("logits must be finite: leave out what wasn't scored")
        if not (np.isfinite(at).all() and (at >= 0).all() and (at == np.floor(at)).all()):
            raise InvalidRequestError("places must be whole numbers from 0, as in Ranking's index")
        check_labels(y)
        return cls(x, at, y, given, _numbered(at, queries))

    def only(self, kept: NDArray[np.bool_]) -> Judged:
        """The documents that are ``kept``."""
        scores = None if self.scores is None else self.scores[kept]
        return Judged(
            self.logits[kept], self.places[kept], self.labels[kept], scores, self.query[kept]
        )


def fit_prior(judged: Judged) -> tuple[Weights, PriorReport | None]:
    """Fit to all documents, and report on queries left out; no report where halves are too small.

    Raises ``InvalidRequestError`` where relevance doesn't rise with the logits.
    """
    notes: list[str] = []
    weights = _fit(judged, notes)
    useful = [q for q in np.unique(judged.query) if judged.labels[judged.query == q].any()]
    if len(useful) < 2:
        return weights, None
    shuffled = np.random.default_rng(0).permutation(useful)
    halves = shuffled[::2], shuffled[1::2]
    try:
        values = [
            row
            for tested, rest in (halves, halves[::-1])
            for row in _measure(judged, tested, _fit(judged.only(np.isin(judged.query, rest)), []))
        ]
    except InvalidRequestError:
        # A half is too small to be fitted, though the whole isn't.
        return weights, None
    first, alone, both = np.array(values).T
    report = PriorReport(
        queries=len(useful),
        first_stage=float(first.mean()),
        reranker=float(alone.mean()),
        with_prior=float(both.mean()),
        over_first_stage=paired_bootstrap(both, first),
        over_reranker=paired_bootstrap(both, alone),
        notes=tuple(notes),
    )
    return weights, report


def _fit(judged: Judged, notes: list[str]) -> Weights:
    """Fit the weights within queries, then the calibration of what they add up to.

    Over all queries at once, places would weigh too much: how hard a query is moves all of its
    logits, but none of its places.
    """
    centre, score = _centred(judged.scores, notes)
    columns = {"logit": judged.logits, "place": -np.log1p(judged.places)}
    if score is not None:
        columns["score"] = score
    slopes = _regress(columns, judged)
    if slopes["place"] < 0:
        notes.append("Relevance rises with the place, so that places were left out.")
        del columns["place"]
        slopes = _regress(columns, judged)
    slope = slopes["logit"]
    if slope <= 0:
        raise InvalidRequestError(
            "the logits add nothing to what the first stage says: relevance doesn't rise with "
            "them. Don't use this reranker on these documents; or are labels and logits in "
            "different orders?"
        )
    weights = {name: each / slope for name, each in slopes.items()}
    posterior = sum((weight * columns[name] for name, weight in weights.items()), np.zeros(1))
    return Weights(
        place_weight=weights.get("place", 0.0),
        score_weight=weights.get("score", 0.0),
        score_centre=centre,
        calibration=Calibration.fit(posterior.tolist(), judged.labels.astype(int).tolist()),
    )


def _regress(columns: dict[str, Floats], judged: Judged) -> dict[str, float]:
    features = np.column_stack(list(columns.values()))
    slopes = fit_within(features, judged.labels, judged.query)
    return dict(zip(columns, slopes.tolist(), strict=True))


def _centred(scores: Floats | None, notes: list[str]) -> tuple[float, Floats | None]:
    """The mean score, and the scores less that; 0 where there is none."""
    if scores is None:
        return 0.0, None
    finite = np.isfinite(scores)
    if not finite.any() or not np.ptp(scores[finite]):
        notes.append("First-stage scores are missing or all the same, and were left out.")
        return 0.0, None
    if not finite.all():
        notes.append(f"{np.count_nonzero(~finite)} documents have no finite first-stage score.")
    centre = float(scores[finite].mean())
    return centre, np.where(finite, scores - centre, 0.0)


def _measure(
    judged: Judged, queries: NDArray[np.intp], weights: Weights
) -> list[tuple[float, float, float]]:
    """nDCG@10 of each query: of the order given, of the logits, of the logits with the prior."""
    posterior = judged.logits + log_odds(
        judged.places,
        judged.scores,
        weights.place_weight,
        weights.score_weight,
        weights.score_centre,
    )
    found = []
    for query in queries:
        own = np.flatnonzero(judged.query == query)
        own = own[np.argsort(judged.places[own], kind="stable")]
        labels = judged.labels[own]
        orders = (-judged.places[own], judged.logits[own], posterior[own])
        first, alone, both = (
            ndcg(labels[in_order(values)], labels, gains="linear") for values in orders
        )
        found.append((first, alone, both))
    return found


def _numbered(places: Floats, queries: Sequence[object] | None) -> NDArray[np.intp]:
    if queries is None:
        # A query's documents come with rising places.
        starts = np.diff(places, prepend=np.inf) <= 0
        return np.cumsum(starts) - 1
    if len(queries) != len(places):
        raise InvalidRequestError(
            f"expected as many queries as logits, got {len(queries)} and {len(places)}"
        )
    numbers: dict[object, int] = {}
    return np.array([numbers.setdefault(each, len(numbers)) for each in queries], dtype=np.intp)


def _floats(name: str, values: Sequence[float | None] | Sequence[bool | int]) -> Floats:
    try:
        found = np.asarray([np.nan if x is None else x for x in values], np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidRequestError(f"{name} must be numbers: {error}") from error
    if found.ndim != 1:
        raise InvalidRequestError(f"{name} must be numbers in one dimension, not {found.ndim}")
    return found
