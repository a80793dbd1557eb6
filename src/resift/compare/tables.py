"""Scores of the same pairs there and here, side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from resift.compare.asking import Answer
from resift.compare.pairs import Probe

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Table:
    """One probe, with its answer there and its logits here."""

    probe: Probe
    answer: Answer
    here: Values
    """``[documents]``: logits."""

    @cached_property
    def there(self) -> Values:
        """``[documents]``: the score that was given for each index; NaN for none."""
        found = np.full(len(self.probe.documents), np.nan)
        for each in reversed(self.answer.scores):
            if 0 <= each.index < len(found) and each.score is not None:
                found[each.index] = each.score
        return np.where(np.isfinite(found), found, np.nan)

    @property
    def is_answered(self) -> bool:
        """Whether there is an answer."""
        return self.answer.failed is None


Tables = Mapping[str, Table]


def differences(one: Values, other: Values) -> float:
    """The largest difference; 0 where nothing can be compared."""
    found = np.abs(one - other)
    return float(np.nanmax(found)) if np.isfinite(found).any() else 0.0


def spread(values: Values) -> float:
    """The largest value less the smallest."""
    return float(np.nanmax(values) - np.nanmin(values)) if np.isfinite(values).any() else 0.0


def kendall(one: Values, other: Values) -> float:
    """Kendall's tau-b, from -1 to 1; 0 where one of them is constant."""
    both = np.isfinite(one) & np.isfinite(other)
    one, other = one[both], other[both]
    upper = np.triu_indices(len(one), 1)
    first, second = (np.sign(each[:, None] - each[None, :])[upper] for each in (one, other))
    size = np.sqrt(np.abs(first).sum() * np.abs(second).sum())
    return float((first * second).sum() / size) if size else 0.0
