"""The report of an evaluation: its figures, its advice, and both as a table, JSON and a page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from resift.trials.advice import advise
from resift.trials.agreement import Agreement, Effect
from resift.trials.budget import Budget
from resift.trials.collection import Collection
from resift.trials.curves import DepthCurve
from resift.trials.defects.defect import Defect
from resift.trials.groups import Groups
from resift.trials.measuring import EXPLAINED, JUDGED_ONLY, MEASURES, Values
from resift.trials.running import Run
from resift.trials.significance import FLIPS, Comparison
from resift.trials.stability import Stability

BINS = 40


@dataclass(frozen=True, kw_only=True, slots=True)
class RunReport:
    """All that is said of one ranker."""

    run: Run
    means: Mapping[str, float] | None
    """Of each measure; ``None`` without judgements, as are the next and ``effect``, ``groups``."""
    values: Values | None
    """nDCG@10 by query."""
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
            else dict(zip(self.run.ordered, self.values.tolist(), strict=True)),
            **{each: _plain(getattr(self, each)) for each in parts},
            "histogram": self.histogram(),
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """An evaluation's figures, warnings and advice."""

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
    def advice(self) -> str:
        """Advice in a sentence or two, with intervals."""
        return advise(self)

    @property
    def warnings(self) -> list[Defect]:
        """The defects that change what the figures mean."""
        return [each for each in self.defects if each.level == "warning"]

    def to_dict(self) -> dict[str, Any]:
        """All that is plotted and said, ready for ``json.dumps``."""
        found = self.collection
        candidates = [len(found.found(query)) for query in found.queries]
        return {
            "format": 1,
            "collection": {
                "name": found.name,
                "queries": len(found.queries),
                "judged": found.grades is not None,
                "judgements": sum(map(len, (found.grades or {}).values())),
                "documents": len(found.corpus.ids),
                "depth": found.depth,
                "mean_candidates": float(np.mean(candidates)),
            },
            "advice": self.advice,
            "defects": [each.to_dict() for each in self.defects],
            "rankers": [each.to_dict() for each in self.runs],
            "measures": {each: EXPLAINED[each] for each in (*MEASURES, JUDGED_ONLY)},
            "comparisons": {
                name: {ranker: asdict(each) for ranker, each in found.items()}
                for name, found in self.comparisons.items()
            },
            "test": f"paired randomization, {FLIPS} sign flips; Holm over rankers; 95 % bootstrap",
            "depth_curves": [asdict(each) for each in self.curves],
            "budget": _plain(self.budget),
            "machine": dict(self.machine),
            "seed": self.seed,
        }

    def to_text(self) -> str:
        """The table that the command prints."""
        from resift.trials.text import table

        return table(self)

    def to_html(self) -> str:
        """The page: one file that needs no other, and no network."""
        from resift.trials.page import page

        return page(self)

    def write(self, folder: str | Path) -> None:
        """Write ``report.html`` and ``report.json`` into a folder, which is made if need be."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        content = json.dumps(_finite(self.to_dict()), ensure_ascii=False, indent=2, allow_nan=False)
        (place / "report.json").write_text(content + "\n", encoding="utf-8")
        (place / "report.html").write_text(self.to_html(), encoding="utf-8")


def _plain(part: Any) -> Any:
    return None if part is None else asdict(part)


def _finite(content: Any) -> Any:
    """The same with ``None`` in place of NaN and infinity, which JSON doesn't have."""
    if isinstance(content, Mapping):
        return {str(name): _finite(each) for name, each in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(each) for each in content]
    if isinstance(content, float) and not np.isfinite(content):
        return None
    return content
