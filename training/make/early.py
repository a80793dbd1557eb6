"""Fits early exit on training text: how far a model's estimator puts below the bar what is to stay.

    python early.py --data <folder of the training files> [--model small] [--write]

prints what each margin would lose and keep there, for the choice of `LOST`. `--write` puts the
margin that loses so much into the model's card, with the digests of the estimator that it is for:
both have to be built before, and to stay as they are. `resift-nano` estimates for `resift-small`,
and that for `resift-base`.

Each list is a question with the passages that BM25 finds for it. A document is lost where it is one
of the list's first `TOP_N` by the one model, and the other's logit is further than the margin below
its own `TOP_N`-th best.
"""

import argparse
import logging
import math
import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibration import SETS, bm25, known_pairs
from files import read_card, write_json
from scoring import OnnxScorer, load_tokenizer
from table import MODELS

# Chosen by the table that this prints: benchmarks/NOTES.md.
LOST = 0.05
TOP_N = 5

DEPTH = 100
LENGTH = 256
QUESTIONS = 20
SEED = 1  # other questions than the calibration's

log = logging.getLogger("early")

Floats = NDArray[np.float64]
Lists = Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Fit:
    """`margin` is in the estimator's logits.

    lost: share of the lists' first `TOP_N` documents whose estimate is below the margin.
    kept: share of all documents whose estimate isn't.
    """

    margin: float
    lost: float
    kept: float


def sample(folder: Path) -> list[tuple[str, list[str]]]:
    """Questions from the training files in `folder`, each with `DEPTH` passages."""
    rng = random.Random(SEED)
    lists: list[tuple[str, list[str]]] = []
    for name in SETS:
        known = known_pairs(folder, name)
        passages = list(dict.fromkeys(passage for _, passage in known))
        queries = [query for query, _ in rng.sample(known, QUESTIONS)]
        lists += zip(queries, bm25(passages, queries, DEPTH), strict=True)
    return lists


def score(folder: Path, lists: Lists) -> Floats:
    """Logits of the model in `folder` by its preferred graph, `[lists, DEPTH]`."""
    tokenizer = load_tokenizer(folder / "tokenizer.json")
    tokenizer.enable_truncation(LENGTH, strategy="only_second")
    scorer = OnnxScorer(folder / read_card(folder)["artifacts"][0]["file"], tokenizer)
    pairs = [(query, text) for query, texts in lists for text in texts]
    return scorer(pairs).reshape(len(lists), -1).astype(np.float64)


def fit(estimates: Floats, logits: Floats, lost: float) -> Fit:
    """The margin that loses at most the share `lost`, for both `[lists, DEPTH]`."""
    bars = np.sort(estimates, axis=1)[:, -TOP_N, None]
    best = np.argsort(-logits, axis=1, kind="stable")[:, :TOP_N]
    below = bars - np.take_along_axis(estimates, best, axis=1)
    needed = np.quantile(below, 1 - lost, method="higher")
    # Rounded, so that another machine's last bits don't change it.
    margin = math.ceil(max(0.0, float(needed)) * 20) / 20
    return Fit(
        margin,
        round(float((below > margin).mean()), 4),
        round(float((estimates >= bars - margin).mean()), 3),
    )


def entry(chosen: Fit, estimator: dict[str, Any]) -> dict[str, Any]:
    """What a card says of the estimator whose card is given."""
    fitted_with = estimator["artifacts"][0]
    return {
        "model": estimator["name"],
        "sha256": fitted_with["sha256"],
        "data_sha256": fitted_with["data_sha256"],
        **asdict(chosen),
        "fitted_on": (
            f"{QUESTIONS} questions each of SQuAD 1.1 train, Natural Questions open and MedQuAD,"
            f" with BM25's first {DEPTH} passages, cut to {LENGTH} tokens; lost are documents of"
            f" the first {TOP_N}"
        ),
    }


def main() -> None:
    """Print the table; write what was chosen."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--data", type=Path, required=True, help="folder of the training files")
    estimated = [name for name, each in MODELS.items() if each.estimator]
    arguments.add_argument("--model", choices=estimated, default="small")
    arguments.add_argument("--write", action="store_true", help="into the model's card")
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    lists = sample(options.data)
    log.info("scoring %d lists of %d", len(lists), DEPTH)
    model = MODELS[options.model]
    estimator = MODELS[str(model.estimator)]
    estimates, logits = (score(each.folder, lists) for each in (estimator, model))
    log.info("correlation %.3f", np.corrcoef(estimates.ravel(), logits.ravel())[0, 1])
    log.info("  lost  margin   kept")
    for lost in (0.005, 0.01, 0.02, 0.03, 0.05, 0.1):
        found = fit(estimates, logits, lost)
        log.info("%6.4f  %6.2f  %.3f", found.lost, found.margin, found.kept)
    if options.write:
        chosen = entry(fit(estimates, logits, LOST), read_card(estimator.folder))
        write_json(model.folder / "card.json", read_card(model.folder) | {"estimator": chosen})


if __name__ == "__main__":
    main()
