"""What a bundled model's card says."""

import importlib.metadata
from pathlib import Path
from typing import Any

import calibration
from files import GRAPHS, WEIGHTS, read_measured
from resift.export.verify import round_up
from resift.models.card import SCHEMA
from resift.models.store.manifest import sha256
from scoring import WINDOW
from table import MODELS
from teachers import PUBLISHED


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
    weights, made = out / WEIGHTS, MODELS[model]
    # Two draws of the rounding may be as far apart.
    tolerances = {name: round_up(2 * found["largest"]) for name, found in distances.items()}
    return {
        "schema": SCHEMA,
        "name": f"resift-{model}",
        "revision": made.revision,
        "weights_sha256": weights_sha256,
        "family": "sequence_classification",
        "license": made.license,
        "languages": list(made.languages),
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
        "neighbour_tolerance": neighbour_tolerance(fit),
        "calibration": {
            "slope": fit.slope,
            "intercept": fit.intercept,
            "fitted_on": (
                f"{fit.pairs} pairs, as many each from {calibration.named(made.sets)}; per question"
                " its passage, two BM25 negatives and a random one; classes weighted to even odds"
            ),
            "held_out": {
                "log_loss": fit.log_loss,
                "calibration_error": fit.calibration_error,
            },
        },
        "metrics": metrics(model),
        "sources": [
            *(_source(name, use) for name, use in made.encoders.items()),
            *(
                {"name": name, "use": use, "license": terms}
                for name, (use, terms) in made.texts.items()
            ),
        ],
        "tools": {
            name: importlib.metadata.version(name)
            for name in ("onnx", "onnxruntime", "numpy", "safetensors", "tokenizers", "bm25s")
        },
    }


def neighbour_tolerance(fit: calibration.Fit) -> float:
    """How far a logit may move with its neighbours: a relevance's rounding, times the slope."""
    return max(1e-5, round_up(1e-6 * fit.slope))


def _source(name: str, use: str) -> dict[str, str]:
    encoder = PUBLISHED[name]
    return {
        "name": encoder.upstream,
        "use": use,
        "license": encoder.license,
        "sha256": encoder.sha256,
        "package": f"{encoder.registry}: {encoder.package} {encoder.version}",
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
    first stage, and the model as it was before, or else `resift-small`.
    """
    before = MODELS[model].before
    names = {
        "first_stage": "first_stage",
        **(
            {f"{model}-{before}-int8": before} if before else {"small-int8-by-text": "resift-small"}
        ),
        **{f"{model}-{precision}": precision for precision in GRAPHS},
        f"{model}-int8-by-text": "int8",
    }
    found: dict[str, Any] = {}
    for collection, values in read_measured(model).items():
        row = {"queries": values["queries"]}
        for system, each in values["ndcg@10"].items():
            if system in names:
                row[names[system]] = each["mean"]
            if names.get(system) == "int8":
                compared = {f"over_{other}": name for other, name in names.items()}
                row |= {f"int8_over_{compared[key]}": each[key] for key in each if key in compared}
        found[collection] = row
    return {"ndcg@10": found}
