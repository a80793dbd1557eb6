"""Agreement of two people, beyond what chance gives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resift.errors import InvalidRequestError
from resift.files.grades import Key, Label

Counts = NDArray[np.float64]
"""Counts of each pair of grades, [grades of one, grades of the other]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Agreement:
    """Agreement of two people on the pairs that both judged.

    A coefficient is 1 for full agreement and 0 for that of chance; ``None`` where there was
    nothing to disagree on, as only one grade was given.
    """

    pairs: int
    only_first: int
    only_second: int
    same: float
    """The share of pairs with equal grades."""
    kappa: float | None
    weighted_kappa: float | None
    alpha: float | None
    grades: Sequence[int]
    counts: Sequence[Sequence[int]]
    """Pairs by the first's grade, and the second's."""
    disagreed: Sequence[tuple[str, str, int, int]]
    """The ids of pairs that were judged differently, and both grades; the farthest first."""

    def to_text(self, shown: int = 10) -> str:
        """Show all as a table, with so many of the pairs that were judged differently."""
        lines = [
            f"pairs judged by both   {self.pairs}",
            f"by one alone           {self.only_first} and {self.only_second}",
            f"same grade             {self.same:.1%}",
            f"Cohen's kappa          {_written(self.kappa)}",
            f"  quadratic weights    {_written(self.weighted_kappa)}",
            f"Krippendorff's alpha   {_written(self.alpha)}  (ordinal)",
            "",
            "first \\ second" + "".join(f"{grade:>7}" for grade in self.grades),
        ]
        for grade, row in zip(self.grades, self.counts, strict=True):
            lines.append(f"{grade:>14}" + "".join(f"{count:>7}" for count in row))
        if self.disagreed:
            lines += ["", f"judged differently: {len(self.disagreed)}"]
        for query, document, first, second in self.disagreed[:shown]:
            # Of unknown origin, and so with its control characters escaped.
            lines.append(f"  {query!r} {document!r}: {first} and {second}")
        if len(self.disagreed) > shown:
            lines.append(f"  and {len(self.disagreed) - shown} more")
        return "\n".join(lines) + "\n"


def _written(value: float | None) -> str:
    return "undefined: one grade alone was given" if value is None else f"{value:.3f}"


def agreement(first: Mapping[Key, Label], second: Mapping[Key, Label]) -> Agreement:
    """Compare two people's labels. Raises ``InvalidRequestError`` if they share no pair."""
    shared = [key for key in first if key in second]
    if not shared:
        raise InvalidRequestError(
            "the two files have no pair in common; label the same candidates, with the same --depth"
        )
    rows = [(*key, first[key].grade, second[key].grade) for key in shared]
    grades = sorted({grade for row in rows for grade in row[2:]})
    counts = np.zeros((len(grades), len(grades)))
    for *_, one, other in rows:
        counts[grades.index(one), grades.index(other)] += 1
    differing = [row for row in rows if row[2] != row[3]]
    return Agreement(
        pairs=len(rows),
        only_first=len(first) - len(rows),
        only_second=len(second) - len(rows),
        same=1 - len(differing) / len(rows),
        kappa=kappa(counts, _nominal(grades)),
        weighted_kappa=kappa(counts, _squared(grades)),
        alpha=alpha(counts + counts.T),
        grades=grades,
        counts=counts.astype(int).tolist(),
        disagreed=sorted(differing, key=lambda row: (-abs(row[2] - row[3]), row[:2])),
    )


def _nominal(grades: Sequence[int]) -> Counts:
    return 1 - np.eye(len(grades))


def _squared(grades: Sequence[int]) -> Counts:
    values: Counts = np.asarray(grades, np.float64)
    return np.asarray(np.subtract.outer(values, values) ** 2)


def kappa(counts: Counts, distances: Counts) -> float | None:
    """Cohen's kappa, 1 - sum(d * observed) / sum(d * expected by chance).

    The chance is of two people with each their own shares of grades. With distances of 0 and 1
    it is that of J. Cohen, A coefficient of agreement for nominal scales, Educational and
    Psychological Measurement 20 (1960), (p_o - p_e) / (1 - p_e); with squares of differences, the
    weighted one of Psychological Bulletin 70 (1968).
    """
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    chance = float((distances * expected).sum())
    return None if chance == 0 else 1 - float((distances * counts).sum()) / chance


def alpha(coincidences: Counts) -> float | None:
    """Krippendorff's alpha for ordinal grades, 1 - D_o / D_e, of each grade beside each other one.

    The chance is of all grades put together, drawn without replacement: K. Krippendorff, Computing
    Krippendorff's Alpha-Reliability (2011). The distance of two grades is the square of how many
    values lie from the one to the other, of those that are one of them half.
    """
    totals = coincidences.sum(axis=1)
    middles = np.cumsum(totals) - totals / 2
    distances = np.subtract.outer(middles, middles) ** 2
    chance = float((distances * np.outer(totals, totals)).sum()) / (totals.sum() - 1)
    return None if chance == 0 else 1 - float((distances * coincidences).sum()) / chance
