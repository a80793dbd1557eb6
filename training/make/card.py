"""What a bundled model's card says."""

import importlib.metadata
import json
from pathlib import Path
from typing import Any

import calibration
from files import GRAPHS, MEASURED, WEIGHTS, read_recipe
from resift.export.verify import round_up
from resift.models.card import SCHEMA
from resift.models.store.manifest import sha256
from scoring import WINDOW
from teachers import START, TEACHERS

REVISIONS = {"small": "0.5.0", "nano": "0.5.0"}
# The version that a card compares its model with.
BEFORE = "0.4.0"
NEIGHBOUR_TOLERANCE = 1e-5

# What models were trained and calibrated on, beside the packages of the recipe.
DATA_SETS = {
    "SQuAD 1.1 train": ("training, calibration, early exit", "CC-BY-SA-4.0"),
    "Natural Questions open": ("training, calibration, early exit", "CC-BY-SA-3.0"),
    "MedQuAD": ("training, calibration, early exit", "CC-BY-4.0"),
    "TyDi QA train, English questions": ("training", "Apache-2.0"),
}


def card(
    model: str,
    weights_sha256: str,
    fit: calibration.Fit,
    distances: dict[str, dict[str, float]],
    out: Path,
) -> dict[str, Any]:
    """The machine-readable card of the model in `out`.

    `distances` has what `describe.distance` says of each graph but the one in float32.
    """
    weights = out / WEIGHTS
    # Two draws of the rounding may be as far apart.
    tolerances = {name: round_up(2 * found["largest"]) for name, found in distances.items()}
    return {
        "schema": SCHEMA,
        "name": f"resift-{model}",
        "revision": REVISIONS[model],
        "weights_sha256": weights_sha256,
        "family": "sequence_classification",
        "license": "Apache-2.0",
        "languages": ["en"],
        "max_length": WINDOW,
        "window": WINDOW,
        "artifacts": [
            *(
                _artifact("onnx", precision, out / file, weights)
                | (
                    {"tolerance": tolerances[precision], "from_fp32": distances[precision]}
                    if precision in distances
                    else {}
                )
                for precision, file in GRAPHS.items()
            ),
            # What the backend "torch" reads the same weights from.
            _artifact("late_interaction", "fp32", out / GRAPHS["fp32"], weights),
        ],
        "tokenizer_sha256": sha256(out / "tokenizer.json"),
        "tolerance": max(tolerances.values()),
        "neighbour_tolerance": NEIGHBOUR_TOLERANCE,
        "calibration": {
            "slope": fit.slope,
            "intercept": fit.intercept,
            "fitted_on": (
                f"{fit.pairs} pairs, a third each from SQuAD 1.1 train, Natural Questions open and"
                " MedQuAD; per question its passage, two BM25 negatives and a random one; classes"
                " weighted to even odds"
            ),
            "held_out": {
                "log_loss": fit.log_loss,
                "calibration_error": fit.calibration_error,
            },
        },
        "metrics": metrics(model),
        "sources": [*map(_source, TEACHERS), *_texts()],
        "tools": {
            name: importlib.metadata.version(name)
            for name in ("onnx", "onnxruntime", "numpy", "safetensors", "tokenizers", "bm25s")
        },
    }


def _texts() -> list[dict[str, str]]:
    packages = read_recipe()["gather"]["packages"]
    texts = DATA_SETS | {
        requirement.replace("==", " "): ("training", terms)
        for requirement, terms in packages.items()
    }
    return [{"name": name, "use": use, "license": terms} for name, (use, terms) in texts.items()]


def _source(name: str) -> dict[str, str]:
    teacher = TEACHERS[name]
    return {
        "name": teacher.upstream,
        "use": "first weights, tokenizer and teacher" if name == START else "teacher",
        "license": teacher.license,
        "sha256": teacher.sha256,
        "package": f"{teacher.registry}: {teacher.package} {teacher.version}",
    }


def _artifact(kind: str, precision: str, path: Path, weights: Path) -> dict[str, str]:
    return {
        "format": kind,
        "precision": precision,
        "stored": "int8",
        "file": path.name,
        "sha256": sha256(path),
        "data_file": weights.name,
        "data_sha256": sha256(weights),
    }


def metrics(model: str) -> dict[str, Any]:
    """What `evaluate.py` measured of a model, by collection, beside what it is compared with: the
    first stage, and the model's own `BEFORE`.
    """
    results = json.loads(MEASURED.read_text(encoding="utf-8")) if MEASURED.exists() else {}
    names = {
        "first_stage": "first_stage",
        f"{model}-{BEFORE}-int8": BEFORE,
        **{f"{model}-{precision}": precision for precision in GRAPHS},
    }
    found: dict[str, Any] = {}
    for collection, values in results.items():
        row = {"queries": values["queries"]}
        for system, each in values["ndcg@10"].items():
            if system in names:
                row[names[system]] = each["mean"]
            if names.get(system) == "int8":
                compared = {f"over_{other}": name for other, name in names.items()}
                row |= {f"int8_over_{compared[key]}": each[key] for key in each if key in compared}
        found[collection] = row
    return {"ndcg@10": found}
