"""Clicks as labels: what they say of relevance depends on who saw what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from resift.errors import InvalidRequestError
from resift.evaluation.shares import labels_of_clicks, propensities_of
from resift.files.lines import json_lines
from resift.logistic import Floats

_LEAST = 0.05
_EXPECTED = "'equal', 'inverse-rank', 'estimate', or numbers from rank 1 on, such as 1,0.6,0.4"


@dataclass(frozen=True, slots=True)
class Shown:
    """A document that was shown for a query."""

    query: str
    document: str
    rank: int
    clicked: bool


@dataclass(frozen=True, slots=True)
class Clicks:
    """Documents that were shown, and labels that have the expectation of relevance."""

    shown: tuple[Shown, ...]
    labels: Floats
    assumed: str
    """What was assumed of ranks, in words."""
    propensities: Mapping[int, float]
    notes: tuple[str, ...]


def read_clicks(path: Path, propensities: str) -> Clicks:
    """Read clicks: lines of JSON with ``query_id``, ``document_id``, ``rank`` from 1, ``clicked``.

    ``propensities`` says how likely each rank is looked at: ``"equal"``, ``"inverse-rank"``,
    ``"estimate"``, or numbers. Raises ``InvalidRequestError`` where clicks say nothing.
    """
    shown = tuple(
        Shown(
            line.name("query_id"),
            line.name("document_id"),
            line.number_from_1("rank"),
            line.flag("clicked"),
        )
        for line in json_lines(path)
    )
    clicked = np.array([each.clicked for each in shown], np.bool_)
    if not clicked.any() or clicked.all():
        raise InvalidRequestError(
            f"{path}: {np.count_nonzero(clicked)} of {len(shown)} documents were clicked; expected "
            "all that were shown, with and without a click"
        )
    ranks = np.array([each.rank for each in shown], np.intp)
    found, assumed = _propensities(propensities, shown)
    notes = [
        "Clicks say what was clicked among what was shown, and nothing of the rest: documents that "
        "were never shown have no part in the fit. Trust in high ranks, and clicks on what only "
        "looks relevant, aren't corrected for."
    ]
    low = sorted(rank for rank, each in found.items() if each < _LEAST)
    if low:
        notes.append(
            f"Ranks from {low[0]} on are looked at so seldom that one click would count for more "
            f"than {1 / _LEAST:g}; they count as {_LEAST:g}."
        )
    found = {rank: max(_LEAST, each) for rank, each in found.items()}
    labels = labels_of_clicks(clicked, ranks, found)
    if labels.mean() >= 1:
        raise InvalidRequestError(
            f"{path}: with these propensities more than all documents would be relevant; they are "
            "too low for ranks that are clicked so often"
        )
    return Clicks(shown, labels, assumed, found, tuple(notes))


def _propensities(given: str, shown: tuple[Shown, ...]) -> tuple[dict[int, float], str]:
    ranks = sorted({each.rank for each in shown})
    if given == "equal":
        return dict.fromkeys(ranks, 1.0), "clicks, each rank taken to be looked at alike"
    if given == "inverse-rank":
        found = {rank: 1 / rank for rank in ranks}
        return found, "clicks, weighed by rank, which is taken to be looked at with chance 1/rank"
    if given == "estimate":
        found = propensities_of(
            [(each.query, each.document) for each in shown],
            np.array([each.rank for each in shown], np.intp),
            np.array([each.clicked for each in shown], np.bool_),
        )
        curve = ", ".join(f"{rank}: {found[rank]:.2f}" for rank in ranks[:10])
        return found, f"clicks, weighed by how often each rank is looked at, estimated as {curve}"
    try:
        numbers = [float(each) for each in given.split(",")]
    except ValueError as error:
        raise InvalidRequestError(f"propensities must be {_EXPECTED}; not {given!r}") from error
    if not all(0 < each <= 1 for each in numbers):
        raise InvalidRequestError(f"propensities must be above 0, up to 1; not {given!r}")
    return dict(enumerate(numbers, start=1)), f"clicks, weighed by propensities given: {given}"
