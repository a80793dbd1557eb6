"""The report of an evaluation: its figures and advice, as a table, JSON and a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from resift.trials.advice import advise
from resift.trials.found import Figures, plain
from resift.trials.measuring import EXPLAINED, JUDGED_ONLY, MEASURES
from resift.trials.page import page
from resift.trials.significance import FLIPS
from resift.trials.text import table


class Report(Figures):
    """An evaluation's figures, warnings and advice."""

    __slots__ = ()

    @property
    def advice(self) -> str:
        """Advice in a sentence or two, with intervals."""
        return advise(self)

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
            "budget": plain(self.budget),
            "machine": dict(self.machine),
            "seed": self.seed,
        }

    def to_text(self) -> str:
        """The table that the command prints."""
        return table(self)

    def to_html(self) -> str:
        """The page: one file that needs no other, and no network."""
        return page(self)

    def write(self, folder: str | Path) -> None:
        """Write ``report.html`` and ``report.json`` into a folder, which is made if need be."""
        place = Path(folder)
        place.mkdir(parents=True, exist_ok=True)
        content = json.dumps(_finite(self.to_dict()), ensure_ascii=False, indent=2, allow_nan=False)
        (place / "report.json").write_text(content + "\n", encoding="utf-8")
        (place / "report.html").write_text(self.to_html(), encoding="utf-8")


def _finite(content: Any) -> Any:
    """The same with ``None`` in place of NaN and infinity, which JSON doesn't have."""
    if isinstance(content, Mapping):
        return {str(name): _finite(each) for name, each in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(each) for each in content]
    if isinstance(content, float) and not np.isfinite(content):
        return None
    return content
