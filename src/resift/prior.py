"""Evidence beside the logit: the order, and the scores, that documents came with."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from numbers import Real
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from resift.errors import InvalidRequestError
from resift.evaluation.prior_fit import Judged, PriorReport, fit_prior, log_odds
from resift.logistic import Floats
from resift.normalization import Calibration

_logger = logging.getLogger(__name__)

_EXPECTED = "None, 0, a weight such as 0.2, 'auto' or a Prior"


@dataclass(frozen=True, kw_only=True, slots=True)
class Prior:
    """Log-odds of relevance by the place and the score that a document came with.

    ``prior = score_weight * (score - score_centre) - place_weight * log(1 + place)``, with the
    place from 0. It is added to the logit, so the weights are in units of the model's logits. A
    score that is missing, NaN or infinite adds nothing.

    Raises ``InvalidRequestError`` unless all are finite numbers and ``place_weight`` is at least 0.
    """

    place_weight: float
    score_weight: float = 0.0
    """Below 0 where a lower score is better, as for distances."""
    score_centre: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(Prior):
            given = getattr(self, field.name)
            if not isinstance(given, Real) or isinstance(given, bool) or not math.isfinite(given):
                raise InvalidRequestError(
                    f"{field.name} of a Prior must be a finite number, not {given!r}"
                )
            object.__setattr__(self, field.name, float(given))
        if self.place_weight < 0:
            raise InvalidRequestError(
                f"place_weight of a Prior must be at least 0, not {self.place_weight!r}: the first "
                "document is taken to be the first stage's best"
            )

    def __call__(self, places: Sequence[int], scores: Sequence[float] | None = None) -> Floats:
        """The prior of each document: ``float64 [documents]``.

        ``places`` are those in the order that the documents came in, from 0; ``scores`` are the
        first stage's, NaN where there is none.
        """
        given = None if scores is None else np.asarray(scores, np.float64)
        return log_odds(np.asarray(places, np.float64), given, **self.to_dict())

    def to_dict(self) -> dict[str, float]:
        """The three numbers by name, which the option ``prior`` takes too."""
        return {field.name: getattr(self, field.name) for field in fields(Prior)}

    @classmethod
    def fit(
        cls,
        logits: Sequence[float],
        places: Sequence[int],
        labels: Sequence[bool | int],
        first_stage_scores: Sequence[float | None] | None = None,
        *,
        queries: Sequence[object] | None = None,
    ) -> FittedPrior:
        """Fit to judged documents: a logistic regression on logit, place and first-stage score.

        It is conditional: a query's relevant documents are compared with its others, so that how
        hard a query is has no part in the weights.

        Each argument has a value for each document, over all queries: its ``logit``, its place in
        the first stage's order, from 0 (a ranking's ``index``), whether it is relevant (1 or 0)
        and, where the first stage gives one, its score. ``queries`` says which query each belongs
        to; without it, a query begins wherever the place doesn't rise.

        Returns a ``Prior`` with a ``report`` of how it does on queries that it wasn't fitted on.
        Raises ``InvalidRequestError`` for values that don't fit together, labels of one kind only,
        and where relevance doesn't rise with the logits: then no prior helps, and reranking hurts.
        """
        judged = Judged.of(logits, places, labels, first_stage_scores, queries)
        weights, report = fit_prior(judged)
        return FittedPrior(
            place_weight=weights.place_weight,
            score_weight=weights.score_weight,
            score_centre=weights.score_centre,
            calibration=weights.calibration,
            report=report,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class FittedPrior(Prior):
    """A ``Prior`` that was fitted, and what is known of it."""

    calibration: Calibration
    """Fitted after the prior, to logit and prior added up: give both to a ``Reranker``."""
    report: PriorReport | None
    """A test on queries that it wasn't fitted on; ``None`` with too few."""


PriorOption = Prior | float | Literal["auto"] | None


def check_prior(given: object) -> PriorOption:
    """Pass what the option may be; turn a mapping, or a ``FittedPrior``, into a ``Prior``.

    Raises ``InvalidRequestError`` for anything else.
    """
    if given is None or (isinstance(given, str) and given == "auto"):
        return given  # type: ignore[return-value]
    if isinstance(given, Prior):
        return Prior(**given.to_dict())
    names = {field.name for field in fields(Prior)}
    if isinstance(given, Mapping) and "place_weight" in given and set(given) <= names:
        return Prior(**given)
    number = isinstance(given, Real) and not isinstance(given, bool)
    if number and math.isfinite(given) and given >= 0:  # type: ignore[arg-type, operator]
        return float(given)  # type: ignore[arg-type]
    raise InvalidRequestError(f"prior must be {_EXPECTED}, not {given!r}")


def resolve_prior(given: PriorOption, of_card: float | None) -> Prior | None:
    """The prior that an option means; ``None`` where it is off.

    ``of_card`` is the weight on the model's card, which is what ``"auto"`` means; without one, it
    means none, for nobody knows the scale of the model's logits.
    """
    if given == "auto":
        given = of_card
    if isinstance(given, float):
        given = Prior(place_weight=given)
    if not isinstance(given, Prior) or not (given.place_weight or given.score_weight):
        return None
    return given


def warn_of_scores(prior: Prior, scores: Sequence[float] | None) -> None:
    """Log what is wrong with the scores that the first stage gave, for this prior.

    ``scores`` are those of the documents in the order given, NaN where there is none.
    """
    if scores is None:
        if prior.score_weight:
            _logger.warning(
                "The prior was fitted with first-stage scores, and there are none: places alone "
                "count. Give first_stage_scores, or fit a prior without them"
            )
        return
    values = np.asarray(scores, np.float64)
    finite = values[np.isfinite(values)]
    if prior.score_weight and len(finite) < len(values):
        _logger.warning(
            "%d of %d documents have no finite first-stage score: the prior's score part is 0 for "
            "them",
            len(values) - len(finite),
            len(values),
        )
    _warn_of_order(prior, finite)


def _warn_of_order(prior: Prior, finite: NDArray[np.float64]) -> None:
    if len(finite) < 2:
        return
    spread = float(np.ptp(finite))
    if not spread:
        if prior.score_weight:
            _logger.warning("All first-stage scores are %g: they add nothing", finite[0])
        return
    rises = np.diff(finite if prior.score_weight >= 0 else -finite)
    # Scores that are equal but for rounding may come in any order.
    wrong = int(np.count_nonzero(rises > 1e-6 * spread))
    if wrong:
        _logger.warning(
            "The first stage's scores contradict the order of the documents: %d of %d are better "
            "than the document before. The prior counts places. Give the documents best first; "
            "where they come from several retrievers, merged without an order, give prior=0; where "
            "a lower score is better, give the scores negated",
            wrong,
            len(finite),
        )
