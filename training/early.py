"""Fits early exit on training text: what some layers' relevance says of the whole model's logit.

    python early.py --data <folder of the training files> [--out fits.json]

prints what each number of layers and each margin would save and lose there, for the choice of the
constants below. `build.py` calls `add`, which fits what was chosen.

Each list is a question with the passages that BM25 finds for it. A document is lost where it is one
of the list's first `TOP_N` by the whole model and its estimate is further than the margin below the
`TOP_N`-th best estimate.
"""

import argparse
import gzip
import json
import logging
import math
import random
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from calibration import SETS, bm25
from golden import PAIRS
from resift.export.verify import round_up
from resift.models import BUNDLED as ALL_BUNDLED
from resift.models.manifest import sha256
from scoring import OnnxScorer, load_tokenizer
from shipped import first_layers, write_json

# Chosen by the table that this prints: benchmarks/NOTES.md.
LAYERS = 1
LOST = 0.02
TOP_N = 5

DEPTH = 100
LENGTH = 256
QUESTIONS = 20
SEED = 1  # other questions than the calibration's

BUNDLED = ALL_BUNDLED / "resift-small"
# The preferred one. The margin is rounded so far that float32 would hardly change it.
GRAPH = "model_int8.onnx"

log = logging.getLogger("early")

Floats = NDArray[np.float64]
Lists = Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Fit:
    """`slope * relevance + intercept` estimates the logit; `margin` is in logits.

    lost: share of the lists' first `TOP_N` documents whose estimate is below the margin.
    kept: share of all documents whose estimate isn't.
    """

    layers: int
    slope: float
    intercept: float
    margin: float
    lost: float
    kept: float


def sample(folder: Path) -> list[tuple[str, list[str]]]:
    """Questions from the training files in `folder`, each with `DEPTH` passages."""
    rng = random.Random(SEED)
    lists: list[tuple[str, list[str]]] = []
    for name, read in SETS.items():
        with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as lines:
            known = [pair for line in lines for pair in read(json.loads(line))]
        passages = list(dict.fromkeys(passage for _, passage in known))
        queries = [query for query, _ in rng.sample(known, QUESTIONS)]
        lists += zip(queries, bm25(passages, queries, DEPTH), strict=True)
    return lists


def score(scorer: OnnxScorer, lists: Lists) -> Floats:
    """Logits, `[lists, DEPTH]`."""
    pairs = [(query, text) for query, texts in lists for text in texts]
    return scorer(pairs).reshape(len(lists), -1).astype(np.float64)


def fit(relevance: Floats, logits: Floats, lost: float, layers: int) -> Fit:
    """The margin that loses at most the share `lost`, for both `[lists, DEPTH]`.

    The line is the least squares' one, and decides nothing: it makes the margin a number of logits.
    """
    features = np.stack([relevance.ravel(), np.ones(relevance.size)], axis=1)
    line = np.linalg.lstsq(features, logits.ravel(), rcond=None)[0]
    # Rounded, so that another machine's last bits don't change the model's bytes.
    slope, intercept = (round(float(each), 3) for each in line)
    estimates = slope * relevance + intercept
    bars = np.sort(estimates, axis=1)[:, -TOP_N, None]
    best = np.argsort(-logits, axis=1, kind="stable")[:, :TOP_N]
    below = bars - np.take_along_axis(estimates, best, axis=1)
    needed = np.quantile(below, 1 - lost, method="higher")
    margin = math.ceil(max(0.0, float(needed)) * 20) / 20
    return Fit(
        layers,
        slope,
        intercept,
        margin,
        round(float((below > margin).mean()), 4),
        round(float((estimates >= bars - margin).mean()), 3),
    )


def fit_folder(folder: Path, data: Path, layers: Sequence[int], lost: Sequence[float]) -> list[Fit]:
    """For each number of layers of the model in `folder`, one for each share that may be lost."""
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    tokenizer.enable_truncation(LENGTH, strategy="only_second")
    lists = sample(data)
    log.info("scoring %d lists of %d for early exit", len(lists), DEPTH)
    logits = score(OnnxScorer(folder / GRAPH, tokenizer), lists)
    found = []
    for number in layers:
        # Beside the weights that it shares.
        with tempfile.NamedTemporaryFile(dir=folder, suffix=".onnx") as file:
            onnx.save(first_layers(folder / GRAPH, number), file.name)
            relevance = score(OnnxScorer(Path(file.name), tokenizer), lists)
        found += [fit(relevance, logits, each, number) for each in lost]
    return found


def add(folder: Path, data: Path) -> list[Path]:
    """Fit, and put the early graphs, their golden estimates and what the card says into `folder`.

    Returns the graphs' paths, the one that the golden estimates are of first.
    """
    (chosen,) = fit_folder(folder, data, [LAYERS], [LOST])
    log.info("%s", chosen)
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    paths: list[Path] = []
    for name in sorted({artifact["file"] for artifact in card["artifacts"]}):
        path = folder / name.replace("model", "model_early")
        graph = first_layers(folder / name, chosen.layers, chosen.slope, chosen.intercept)
        path.write_bytes(graph.SerializeToString(deterministic=True))
        paths.append(path)
    estimates = {path: OnnxScorer(path, tokenizer)(PAIRS) for path in paths}
    exact = estimates[paths[0]]
    for pair, estimate in zip(golden["pairs"], exact, strict=True):
        pair["early_logit"] = round(float(estimate), 5)
    for artifact in card["artifacts"]:
        path = folder / artifact["file"].replace("model", "model_early")
        moved = float(np.abs(estimates[path] - exact).max())
        artifact["early"] = {
            "file": path.name,
            "sha256": sha256(path),
            "margin": chosen.margin,
            "tolerance": max(golden["tolerance"], round_up(2 * moved)),
        }
    card["early_exit"] = {
        **asdict(chosen),
        "fitted_on": (
            f"{QUESTIONS} questions each of SQuAD 1.1 train, Natural Questions open and MedQuAD,"
            f" with BM25's first {DEPTH} passages, cut to {LENGTH} tokens; lost are documents of"
            f" the first {TOP_N}"
        ),
    }
    write_json(folder / "card.json", card)
    write_json(folder / "golden.json", golden)
    return paths


def main() -> None:
    """Print the table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, required=True, help="folder of the training files")
    arguments.add_argument("--model", type=Path, default=BUNDLED, help="folder of the model")
    arguments.add_argument("--out", type=Path, help="for early_exit.py")
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    fits = fit_folder(options.model, options.data, (1, 2, 3), (0.005, 0.01, 0.02, 0.03, 0.05))
    log.info("layers    lost  margin   kept")
    for each in fits:
        log.info("%6d  %6.4f  %6.2f  %.3f", each.layers, each.lost, each.margin, each.kept)
    if options.out:
        rows = [asdict(each) for each in fits]
        options.out.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
