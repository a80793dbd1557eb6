"""Makes a bundled model's files from the weights that `recipe.py` finished.

python build.py small --weights <finished.safetensors> --data <folder with the training files>
python build.py small --measured    # puts measured.json into the card of what was built
"""

import argparse
import importlib.metadata
import json
import logging
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

import calibration
from first_words import sentences_found
from golden import PAIRS
from late_interaction import WORTH, Scorer, State, build
from resift import Reranker
from resift.export.verify import kendall_tau, round_up
from resift.models.store.manifest import sha256
from resift.precision import NARROW_INT8
from resift.testing.late_interaction import SENTENCES
from resift.text.tokenizer import PairTokenizer
from scoring import WINDOW, OnnxScorer, load_tokenizer
from shipped import CalibrationPairs, in_float32, in_int8, in_narrow, write, write_json
from teachers import START, TEACHERS, fetch

HERE = Path(__file__).parent
ALL_BUNDLED = HERE.parent / "src/resift/bundled"
BUNDLED = ALL_BUNDLED / "resift-small"
CACHE = HERE / ".cache"
REVISIONS = {"small": "0.5.0", "nano": "0.5.0"}
# The version that a card compares its model with.
BEFORE = "0.4.0"
HEADS = 12
EPSILON = 1e-12
# The preferred one first.
GRAPHS = {"int8": "model_int8.onnx", NARROW_INT8: "model_int8_narrow.onnx", "fp32": "model.onnx"}
WEIGHTS = "model.onnx.data"
# Of the float32 graph's logits between machines and releases; they are written to five digits.
TOLERANCE = 1e-4
NEIGHBOUR_TOLERANCE = 1e-5
# Calibration pairs on which int8 is compared with float32, beside the golden ones.
COMPARED = 360

# What models were trained and calibrated on, beside the packages of the recipe.
DATA_SETS = {
    "SQuAD 1.1 train": ("training, calibration, early exit", "CC-BY-SA-4.0"),
    "Natural Questions open": ("training, calibration, early exit", "CC-BY-SA-3.0"),
    "MedQuAD": ("training, calibration, early exit", "CC-BY-4.0"),
    "TyDi QA train, English questions": ("training", "Apache-2.0"),
}

log = logging.getLogger("build")


def main() -> None:
    """Fit, build, verify and write."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("model", choices=tuple(REVISIONS))
    arguments.add_argument("--weights", type=Path)
    arguments.add_argument("--data", type=Path, help="folder of the training files")
    arguments.add_argument("--measured", action="store_true")
    arguments.add_argument("--out", type=Path, help="the bundled folder unless given")
    arguments.add_argument("--cache", type=Path, default=CACHE, help="of downloads")
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    out = options.out or ALL_BUNDLED / f"resift-{options.model}"
    if options.measured:
        path = out / "card.json"
        found = json.loads(path.read_text(encoding="utf-8"))
        write_json(path, found | {"metrics": metrics(options.model)})
        return
    if options.weights is None or options.data is None:
        arguments.error("expected --weights and --data, or --measured")
    out.mkdir(parents=True, exist_ok=True)

    tokenizer_path = out / "tokenizer.json"
    source = fetch(START, options.cache) / "tokenizer.json"
    write_tokenizer(json.loads(source.read_text(encoding="utf-8")), tokenizer_path)
    tokenizer = load_tokenizer(tokenizer_path)

    state = load_file(options.weights)
    scorer = unfitted(state)
    pairs = calibration.sample(options.data)
    log.info("scoring %d pairs for the fit", len(pairs.texts))
    relevance = OnnxScorer(build(state, scorer).SerializeToString(), tokenizer)(pairs.texts)
    fit = calibration.fit(pairs, relevance)
    log.info("%s", fit)

    exact = build(state, replace(scorer, slope=fit.slope, intercept=fit.intercept))
    paths = {name: out / file for name, file in GRAPHS.items()}
    int8 = in_int8(
        exact,
        CalibrationPairs(PairTokenizer(tokenizer_path, pad_token_id=0), pairs.texts, WINDOW),
    )
    write({paths["int8"]: int8, paths["fp32"]: in_float32(int8)}, out / WEIGHTS)
    write_json(out / "config.json", config(state))
    describe(options.model, sha256(options.weights), fit, pairs, out)


def describe(
    model: str, weights_sha256: str, fit: calibration.Fit, pairs: calibration.Pairs, out: Path
) -> None:
    """Add the narrow graph to the others in `out`, and check all; write the card and golden pairs.

    Raises `ValueError` where a logit depends on its neighbours, or first words aren't found.
    """
    paths = {name: out / file for name, file in GRAPHS.items()}
    narrow = in_narrow(paths["int8"])
    paths[NARROW_INT8].write_bytes(narrow.SerializeToString(deterministic=True))
    tokenizer_path = out / "tokenizer.json"
    tokenizer = load_tokenizer(tokenizer_path)
    shipped = {name: OnnxScorer(path, tokenizer) for name, path in paths.items()}
    for scorer_ in shipped.values():
        verify(scorer_)
    texts = [*PAIRS, *pairs.texts[:: len(pairs.texts) // COMPARED]]
    logits = {name: each(texts) for name, each in shipped.items()}
    distances = {
        name: distance(logits["fp32"], found) for name, found in logits.items() if name != "fp32"
    }
    write_json(
        out / "card.json", card(model, weights_sha256, fit, paths, tokenizer_path, distances)
    )
    write_json(
        out / "golden.json",
        {
            "model_sha256": sha256(paths["fp32"]),
            "tolerance": TOLERANCE,
            "pairs": [
                {"query": query, "document": document, "logit": round(float(logit), 5)}
                for (query, document), logit in zip(
                    PAIRS, logits["fp32"][: len(PAIRS)], strict=True
                )
            ],
        },
    )
    found = sentences_found(Reranker(out, precision="fp32"))
    if found < len(SENTENCES):
        raise ValueError(
            f"only {found} of {len(SENTENCES)} sentences are found by their first word"
        )
    for path in sorted(out.iterdir()):
        log.info("%s  %9d  %s", sha256(path), path.stat().st_size, path.name)


def distance(expected: NDArray[np.float32], found: NDArray[np.float32]) -> dict[str, float]:
    """How far logits are from those of float32, `[pairs]` each."""
    differences = np.abs(found - expected)
    return {
        "pairs": len(differences),
        "mean": float(f"{differences.mean():.3g}"),
        "largest": float(f"{differences.max():.3g}"),
        "kendall_tau": round(kendall_tau(expected, found), 4),
    }


def unfitted(state: State) -> Scorer:
    """The scorer of a finished `state`, whose logit is the bare relevance."""
    return Scorer(
        heads=HEADS,
        layers=sum(name.endswith("intermediate.dense.bias") for name in state),
        epsilon=EPSILON,
        share=recipe()["formula"]["share"],
    )


def recipe() -> dict[str, Any]:
    """The configuration of all stages."""
    return tomllib.loads((HERE / "recipe.toml").read_text(encoding="utf-8"))


def write_tokenizer(tokenizer: dict[str, Any], path: Path) -> None:
    """Write the encoder's tokenizer, whose pairs are two texts as the encoder knows them.

    Without truncation and padding: both are the caller's to choose.
    """
    pair = [
        piece
        for text, kind in (("A", 0), ("B", 1))
        for piece in (
            {"SpecialToken": {"id": "[CLS]", "type_id": kind}},
            {"Sequence": {"id": text, "type_id": kind}},
            {"SpecialToken": {"id": "[SEP]", "type_id": kind}},
        )
    ]
    joined = tokenizer["post_processor"] | {"pair": pair}
    compact = tokenizer | {"truncation": None, "padding": None, "post_processor": joined}
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


def config(state: State) -> dict[str, Any]:
    """`config.json` as transformers writes it for a pair model with one logit."""
    return {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": len(state["embeddings.LayerNorm.bias"]),
        "intermediate_size": len(state["encoder.layer.0.intermediate.dense.bias"]),
        "layer_norm_eps": EPSILON,
        "max_position_embeddings": len(state["embeddings.position_embeddings.weight"]),
        "num_attention_heads": HEADS,
        "num_hidden_layers": unfitted(state).layers,
        "pad_token_id": 0,
        "type_vocab_size": len(state["embeddings.token_type_embeddings.weight"]),
        "vocab_size": len(state[WORTH]),
        "num_labels": 1,
        "id2label": {"0": "relevance"},
        "label2id": {"relevance": 0},
        "resift": {"scorer": "late_interaction"},
    }


def metrics(model: str) -> dict[str, Any]:
    """What `evaluate.py` measured of a model, by collection, beside what it is compared with: the
    first stage, and the model's own `BEFORE`.
    """
    path = HERE / "measured.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
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


def card(
    model: str,
    weights_sha256: str,
    fit: calibration.Fit,
    graphs: dict[str, Path],
    tokenizer: Path,
    distances: dict[str, dict[str, float]],
) -> dict[str, Any]:
    """The machine-readable card; the first of `graphs` is the preferred one."""
    weights = tokenizer.with_name(WEIGHTS)
    # Two draws of the rounding may be as far apart.
    tolerances = {name: round_up(2 * found["largest"]) for name, found in distances.items()}
    return {
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
                _artifact("onnx", precision, path, weights)
                | (
                    {"tolerance": tolerances[precision], "from_fp32": distances[precision]}
                    if precision in distances
                    else {}
                )
                for precision, path in graphs.items()
            ),
            # What the backend "torch" reads the same weights from.
            _artifact("late_interaction", "fp32", graphs["fp32"], weights),
        ],
        "tokenizer_sha256": sha256(tokenizer),
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
    packages = recipe()["gather"]["packages"]
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


if __name__ == "__main__":
    main()
