"""The tiny model with an estimator of its own, in an installed package."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tiny_models

from resift.models.packages import find_packaged

WORDS = [f"w{n}" for n in range(10)]
TEXTS = [f"{word} {word}" for word in WORDS]
MARGIN = 0.11
# Of these texts, at top_n=2: the estimates of w6 to w9 are the same.
SURVIVORS, PRUNED = 4, 6
_names = (f"estimator-{n}" for n in count())


def add_estimator() -> Path:
    """The folder of a new model in the installed package."""
    name = next(_names)
    spec = find_spec("estimators")
    assert spec is not None
    (folder,) = map(Path, spec.submodule_search_locations or ())
    with (folder.parent / "estimators-1.2.dist-info/entry_points.txt").open(
        "a", encoding="utf-8"
    ) as points:
        points.write(f"{name} = estimators\n")
    return folder / name


def estimator(
    folder: Path, *, weights: Mapping[str, float] | None = None, window: int = 32
) -> dict[str, Any]:
    """The tiny model, whose words weigh whole numbers, or ``weights``; what names it in a card."""
    tiny_models.build(folder)
    graph = onnx.load(folder / "model.onnx")
    (table,) = (each for each in graph.graph.initializer if each.name == "table")
    values = {name: np.round(value) for name, value in tiny_models.WEIGHTS.items()}
    rows = np.array(list({**values, **(weights or {})}.values()), dtype=np.float32)[:, None]
    table.CopyFrom(onnx.numpy_helper.from_array(rows, "table"))
    onnx.save(graph, folder / "model.onnx")
    return {"model": folder.name, "sha256": describe(folder, window=window, max_length=window)}


def describe(folder: Path, **more: Any) -> str:
    """Give a tiny model a card, with its digest, and a golden pair that its estimator has too."""
    digest = sha256((folder / "model.onnx").read_bytes()).hexdigest()
    artifact = {"format": "onnx", "precision": "fp32", "file": "model.onnx", "sha256": digest}
    card = {"max_length": 32, "window": 32, "tolerance": 1e-4, "artifacts": [artifact], **more}
    pair = {"query": "a", "document": "good", "logit": 1.0}
    golden = {"model_sha256": digest, "tolerance": 1e-4, "pairs": [pair]}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    (folder / "golden.json").write_text(json.dumps(golden), encoding="utf-8")
    return digest


def build(
    folder: Path, *, margin: float = MARGIN, weights: Mapping[str, float] | None = None
) -> Path:
    """The tiny model, with an estimator of its own in an installed package."""
    tiny_models.build(folder)
    named = estimator(add_estimator(), weights=weights)
    describe(folder, estimator={**named, "margin": margin})
    return folder


def estimator_of(folder: Path) -> Path:
    name = json.loads((folder / "card.json").read_text(encoding="utf-8"))["estimator"]["model"]
    found = find_packaged(name)
    assert found is not None
    return found.folder
