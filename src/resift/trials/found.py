"""The figures of an evaluation: those of each ranker, and those of all together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from resift.trials.agreement import Agreement, Effect
from resift.trials.budget import Budget
from resift.trials.collection import Collection
from resift.trials.curves import DepthCurve
from resift.trials.defects.defect import Defect
from resift.trials.groups import Groups
from resift.trials.measuring import Values
from resift.trials.running import Run
from resift.trials.significance import Comparison
from resift.trials.stability import Stability

BINS = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class RunReport:
    """All that is said of one ranker."""

    run: Run
    means: Mapping[str, float] | None
    """Of each measure; ``None`` without judgements, as are the next and ``effect``, ``groups``."""
    values: Mapping[str, Values] | None
    """Each measure by query."""
    agreement: Agreement | None
    effect: Effect | None
    groups: Groups | None
    stability: Stability | None
    scores: Mapping[str, Sequence[float]]
    """All scores, sorted, by what is known of the document."""

    @property
    def name(self) -> str:
        """The ranker's name."""
        return self.run.name

    def histogram(self) -> dict[str, Any]:
        """Counts of the scores in 40 equal bins, by what is known of the document."""
        values = [each for kind in self.scores.values() for each in kind]
        if not values:
            return {"edges": [], "counts": {}}
        edges = np.histogram_bin_edges(values, bins=BINS)
        counts = {kind: np.histogram(each, edges)[0].tolist() for kind, each in self.scores.items()}
        return {"edges": edges.tolist(), "counts": counts}

    def to_dict(self) -> dict[str, Any]:
        """The figures, ready for ``json.dumps``."""
        parts = ("agreement", "effect", "groups", "stability")
        about = ("model", "revision", "backend", "precision", "scale")
        return {
            "name": self.name,
            "spec": self.run.ranker.spec,
            **{each: getattr(self.run, each) for each in about},
            "measures": self.means,
            "by_query": None
            if self.values is None
            else {
                name: dict(zip(self.run.ordered, each.tolist(), strict=True))
                for name, each in self.values.items()
            },
            **{each: plain(getattr(self, each)) for each in parts},
            "histogram": self.histogram(),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """An evaluation's figures and warnings."""

    collection: Collection
    runs: Sequence[RunReport]
    """The rankers, in the order given; all are compared with the first."""
    comparisons: Mapping[str, Mapping[str, Comparison]]
    """By measure and ranker; empty without judgements."""
    defects: Sequence[Defect]
    """Warnings first, then notes."""
    curves: Sequence[DepthCurve]
    budget: Budget | None
    machine: Mapping[str, Any]
    seed: int

    @property
    def warnings(self) -> list[Defect]:
        """The defects that change what the figures mean."""
        return [each for each in self.defects if each.level == "warning"]


def plain(part: Any) -> Any:
    """Turn a dataclass into a dict, and leave ``None`` as it is."""
    return None if part is None else asdict(part)
