"""Contents of a calibration that belongs to a model, its file, and texts to score with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from resift import Reranker
from resift.calibrating.fitting import bind

TEXTS = ["good", "bad"]


def content_of(folder: Path, /, **changes: Any) -> dict[str, Any]:
    bound = bind(Reranker(folder, threads=1))
    values = {"format": 1, "kind": "platt", "slope": 2.0, "intercept": -1.0, "steps": [],
              "shift": 0.5, "model": bound.model, "digest": bound.digest, "name": "search",
              "prior": None, "fitted": {}, "report": {}}  # fmt: skip
    return {**values, **changes}


def save(folder: Path, content: dict[str, Any]) -> str:
    """Write a calibration into the cache, and return its name."""
    (folder / "calibrations").mkdir(parents=True, exist_ok=True)
    path = folder / "calibrations/search.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return "search"
