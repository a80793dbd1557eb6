"""A calibration from logits and labels: fitted, tried, shifted, bound to a model, saved."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from resift import Reranker
from resift.calibrating.report import CalibrationReport
from resift.calibrations import FORMAT, Curve, CurveKind, ModelCalibration, file_of, is_path
from resift.errors import InvalidRequestError
from resift.evaluation.calibration_fit import (
    Labelled,
    choose_kind,
    fit_curve,
    fold_of_queries,
    left_out,
    log_losses,
)
from resift.evaluation.intervals import paired_ratio_bootstrap
from resift.evaluation.reliability import Observed, quality
from resift.evaluation.shares import shift_of
from resift.evaluation.thresholds import Goal, Threshold, find_threshold
from resift.logistic import Floats, sigmoid

Kind = CurveKind | Literal["auto"]


@dataclass(frozen=True, kw_only=True, slots=True)
class FittedCalibration:
    """A calibration that was fitted, and what is known of it."""

    normalization: ModelCalibration
    """What to give as ``normalization``."""
    report: CalibrationReport

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a ``.json`` file, or under a name into the cache; return the file's path.

        A file that is there is replaced. Raises ``InvalidRequestError`` for what can be neither.
        """
        given = os.fspath(path)
        file = file_of(given)
        if file is None or file.suffix != ".json":
            raise InvalidRequestError(
                f"{given!r} is neither the path of a .json file nor a name of letters, digits, "
                "'.', '-' and '_'"
            )
        file.parent.mkdir(parents=True, exist_ok=True)
        fitted = self.normalization
        name = fitted.name or (file.stem if is_path(given) else given)
        content = {
            "format": FORMAT,
            **replace(fitted, name=name).to_dict(),
            "fitted": {"at": datetime.now(UTC).isoformat(timespec="seconds"), **self._facts()},
            "report": self.report.to_dict(),
        }
        # Whoever reads it meanwhile gets the old one or the new one.
        part = file.with_name(f"{file.name}.{os.getpid()}.part")
        part.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        part.replace(file)
        return file

    def _facts(self) -> dict[str, Any]:
        report = self.report
        names = ("queries", "pairs", "labels", "share_in_fit", "share_in_use")
        return {name: getattr(report, name) for name in names}


def calibrate(
    logits: Sequence[float],
    labels: Sequence[float],
    queries: Sequence[object],
    *,
    model: Reranker | str,
    kind: Kind = "auto",
    positives_in_use: float | None = None,
    precision: Sequence[float] = (),
    recall: Sequence[float] = (),
    prior: Mapping[str, float] | None = None,
    name: str | None = None,
) -> FittedCalibration:
    """Fit a calibration, and try it on queries that it wasn't fitted on.

    Each pair of a query and a document has its logit, its label (1 relevant, 0 not) and its query's
    name or id; there have to be ten queries at least. ``model``: the ``Reranker`` that gave the
    logits, or the name of the model, where there is none: then it is known by that name alone.
    ``kind``: ``"platt"``, ``"temperature"``, which keeps 0.5 at a logit of 0, ``"isotonic"`` from
    1,000 labels on, or ``"auto"``, the simplest that isn't certainly worse than another.
    ``positives_in_use``: the share of documents that are relevant in use, above 0 and below 1,
    where it is another than that of the labels. ``precision`` and ``recall``: what to find score
    thresholds for, above 0, up to 1. ``prior``: the prior in the logits, as ``Prior.to_dict`` has
    it. ``name``: what it is called in messages.

    Raises ``InvalidRequestError`` for values that don't fit together, and where relevance doesn't
    rise with the logits.
    """
    data = Labelled.of(logits, labels, queries)
    return fit_labelled(
        data,
        bind(model),
        kind=kind,
        positives_in_use=positives_in_use,
        goals=[
            *(("precision", each) for each in precision),
            *(("recall", each) for each in recall),
        ],
        prior=prior,
        name=name,
    )


@dataclass(frozen=True, slots=True)
class Bound:
    """The model that a calibration belongs to."""

    model: str
    digest: str | None = None


def bind(model: Reranker | str) -> Bound:
    """Name a model, with its digest where it has one. It may load the model."""
    if isinstance(model, str):
        return Bound(model)
    source = model._scorer.source
    digest = source.identity() if source.identity is not None else None
    return Bound(source.model, digest)


def fit_labelled(
    data: Labelled,
    bound: Bound,
    *,
    kind: Kind = "auto",
    positives_in_use: float | Callable[[Curve], float] | None = None,
    goals: Sequence[tuple[Goal, float]] = (),
    prior: Mapping[str, float] | None = None,
    name: str | None = None,
    labels: str = "judged",
    notes: Sequence[str] = (),
) -> FittedCalibration:
    """Fit to pairs that were checked; see ``calibrate``.

    ``positives_in_use`` may be a function that estimates it with the curve.
    """
    for goal, wanted in goals:
        if not 0 < wanted <= 1:
            raise InvalidRequestError(f"a {goal} must be above 0, up to 1, not {wanted!r}")
    chosen, trials = choose_kind(data) if kind == "auto" else (kind, ())
    curve = fit_curve(chosen, data)
    given = positives_in_use
    in_use = given(curve) if callable(given) else given
    shift = 0.0 if in_use is None else shift_of(in_use, data.share)
    shifted = ModelCalibration(
        kind=curve.kind,
        slope=curve.slope,
        intercept=curve.intercept,
        steps=curve.steps,
        shift=shift,
        model=bound.model,
        digest=bound.digest,
        name=name,
        prior=prior,
    )
    report = _report(data, chosen, trials, in_use, shifted, goals, labels, notes)
    return FittedCalibration(normalization=shifted, report=report)


def _report(
    data: Labelled,
    kind: CurveKind,
    trials: Any,
    in_use: float | None,
    shifted: ModelCalibration,
    goals: Sequence[tuple[Goal, float]],
    labels: str,
    notes: Sequence[str],
) -> CalibrationReport:
    before, after = sigmoid(data.logits), left_out(kind, data)

    def observed(chances: Floats, share: float | None = None) -> Observed:
        return Observed.of(chances, data.labels, data.query, binary=data.binary, share_in_use=share)

    losses = [log_losses(each, data.labels) for each in (after, before)]
    return CalibrationReport(
        queries=len(data.names),
        pairs=len(data.logits),
        share_in_fit=data.share,
        share_in_use=data.share if in_use is None else in_use,
        labels=labels,
        kind=kind,
        trials=trials,
        before=quality(observed(before)),
        after=quality(observed(after)),
        over_sigmoid=paired_ratio_bootstrap(losses[0] - losses[1], data.query),
        in_use_unshifted=None if in_use is None else quality(observed(after, in_use)),
        in_use=None if in_use is None else quality(observed(_moved(after, shifted.shift), in_use)),
        thresholds=_thresholds(data, observed(shifted(data.logits), in_use), goals),
        notes=tuple(notes),
    )


def _thresholds(
    data: Labelled, seen: Observed, goals: Sequence[tuple[Goal, float]]
) -> tuple[Threshold, ...]:
    fold = fold_of_queries(data)
    return tuple(find_threshold(seen, goal, wanted, fold=fold) for goal, wanted in goals)


def _moved(chances: Floats, shift: float) -> Floats:
    return sigmoid(np.log(chances) - np.log1p(-chances) + shift)
