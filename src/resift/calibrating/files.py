"""The way from files to a calibration: what was judged or clicked, scored and fitted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from resift import Reranker
from resift.calibrating.clicks import Clicks, read_clicks
from resift.calibrating.fitting import FittedCalibration, Kind, fit_labelled
from resift.calibrating.reading import graded, read_folder
from resift.calibrating.scoring import Scores, needed, recorded, score_all
from resift.calibrations import Curve
from resift.errors import InvalidRequestError
from resift.evaluation.calibration_fit import Labelled
from resift.evaluation.shares import share_of_traffic
from resift.evaluation.thresholds import Goal
from resift.files.collections import find_grades
from resift.files.grades import Key, read_grades, read_labels
from resift.files.recorded import Recorded, read_recorded

Unjudged = Literal["skip", "not-relevant"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Inputs:
    """The files of a calibration, and how they are read."""

    judged: Path
    """Lines of JSON, or a folder as BEIR has it."""
    labels: Path | None = None
    qrels: Path | None = None
    run: Path | None = None
    clicks: Path | None = None
    propensities: str = "estimate"
    traffic: Path | None = None
    """Recorded queries that nobody judged, to estimate the share of relevant documents in use."""
    depth: int = 100
    relevant: int = 1
    """The least grade that counts as relevant."""
    unjudged: Unjudged = "skip"
    recorded: bool = False
    """Whether logits are taken as they were recorded."""


def calibrate_files(
    inputs: Inputs,
    reranker: Callable[[], Reranker],
    *,
    kind: Kind = "auto",
    positives_in_use: float | None = None,
    goals: Sequence[tuple[Goal, float]] = (),
    name: str | None = None,
) -> FittedCalibration:
    """Read the files, score what they name, and fit.

    ``reranker`` makes the model where one is needed. Raises ``InvalidRequestError`` for files that
    can't be read or say too little, and what ranking raises.
    """
    if inputs.traffic is not None and positives_in_use is not None:
        raise InvalidRequestError(
            "give either the share of relevant documents in use or traffic to estimate it, not both"
        )
    searched, notes = _read(inputs), list[str]()
    model = None if inputs.recorded else reranker()
    if inputs.clicks is None:
        searched = _judged(searched, inputs)
        scores = _scored(searched, model)
        data, labels = _labelled(searched, scores, inputs.relevant), "judged"
    else:
        clicks = read_clicks(inputs.clicks, inputs.propensities)
        scores = _scored(_clicked(searched, clicks), model)
        data, labels = _of_clicks(clicks, scores), clicks.assumed
        notes += clicks.notes
    in_use: float | Callable[[Curve], float] | None = positives_in_use
    if inputs.traffic is not None:
        in_use = _estimator(_scored(list(read_recorded(inputs.traffic)), model), scores, data)
    return fit_labelled(
        data,
        scores.bound,
        kind=kind,
        positives_in_use=in_use,
        goals=goals,
        prior=scores.prior.to_dict() if scores.prior else None,
        name=name,
        labels=labels,
        notes=notes,
    )


def _read(inputs: Inputs) -> list[Recorded]:
    """The queries, with all grades that there are."""
    grades: dict[Key, int] = {}
    qrels = inputs.qrels
    if qrels is None and inputs.judged.is_dir():
        qrels = find_grades(inputs.judged)
    if qrels is not None:
        grades |= read_grades(qrels)
    if inputs.labels is not None:
        grades |= {key: each.grade for key, each in read_labels(inputs.labels).items()}
    if inputs.judged.is_dir():
        searched = read_folder(inputs.judged, inputs.run, grades, inputs.depth)
    elif inputs.run is not None:
        raise InvalidRequestError(
            "a run belongs to a folder with corpus.jsonl and queries.jsonl; lines of JSON have "
            "their candidates already"
        )
    else:
        searched = list(read_recorded(inputs.judged))
    return graded(searched, grades)


def _judged(searched: Sequence[Recorded], inputs: Inputs) -> list[Recorded]:
    """The queries with judged candidates; the others are judged as not relevant, if at all."""
    found = needed(searched, all_of_them=True)
    if inputs.unjudged == "not-relevant":
        unknown = (
            (each.query_id, c.id) for each in found for c in each.candidates if c.grade is None
        )
        found = graded(found, dict.fromkeys(unknown, 0))
    grades = [c.grade for each in found for c in each.candidates if c.grade is not None]
    if not grades:
        raise InvalidRequestError(
            f"{inputs.judged}: no candidate has a grade; give --labels or --qrels, or lines whose "
            "candidates have a 'grade'"
        )
    if min(grades) >= inputs.relevant:
        raise InvalidRequestError(
            f"{inputs.judged}: all {len(grades)} judged candidates are relevant. Judge some that "
            "aren't, or give --unjudged not-relevant, where all relevant ones were judged"
        )
    return found


def _scored(searched: Sequence[Recorded], model: Reranker | None) -> Scores:
    return recorded(searched) if model is None else score_all(searched, model)


def _labelled(searched: Sequence[Recorded], scores: Scores, relevant: int) -> Labelled:
    rows = [
        (scores.values[each.query_id, c.id], c.grade >= relevant, each.query_id)
        for each in searched
        for c in each.candidates
        if c.grade is not None
    ]
    logits, labels, queries = zip(*rows, strict=True)
    return Labelled.of(logits, labels, queries)


def _clicked(searched: Sequence[Recorded], clicks: Clicks) -> list[Recorded]:
    """The queries that clicks are about."""
    known = {(each.query_id, c.id) for each in searched for c in each.candidates}
    for shown in clicks.shown:
        if (shown.query, shown.document) not in known:
            raise InvalidRequestError(
                f"clicks name document {shown.document!r} of query {shown.query!r}, which isn't "
                "among the recorded candidates; give the queries that were shown, with the same ids"
            )
    wanted = {each.query for each in clicks.shown}
    return [each for each in searched if each.query_id in wanted]


def _of_clicks(clicks: Clicks, scores: Scores) -> Labelled:
    logits = [scores.values[each.query, each.document] for each in clicks.shown]
    return Labelled.of(logits, clicks.labels.tolist(), [each.query for each in clicks.shown])


def _estimator(traffic: Scores, fitted: Scores, data: Labelled) -> Callable[[Curve], float]:
    if traffic.bound != fitted.bound:
        raise InvalidRequestError(
            f"the traffic was scored by {traffic.bound.model}, and the judged documents by "
            f"{fitted.bound.model}; expected the same model"
        )
    logits = np.array(list(traffic.values.values()), np.float64)
    return lambda curve: share_of_traffic(curve(logits), data.share)
