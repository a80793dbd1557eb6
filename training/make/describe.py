"""Checks the files of a built model, and writes what is said of them: card and golden pairs."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import calibration
from card import card, neighbour_tolerance
from files import GRAPHS, write_json
from golden import PAIRS, sentences_found
from resift import Reranker
from resift.export.verify import kendall_tau
from resift.models.store.manifest import sha256
from resift.precision import NARROW_INT8
from resift.testing.late_interaction import SENTENCES
from scoring import OnnxScorer, load_tokenizer
from shipped import in_narrow

# Of the float32 graph's logits between machines and releases; they are written to five digits.
TOLERANCE = 1e-4
# Calibration pairs on which int8 is compared with float32, beside the golden ones.
COMPARED = 360

log = logging.getLogger("describe")


def describe(
    model: str, weights_sha256: str, fit: calibration.Fit, pairs: calibration.Pairs, out: Path
) -> None:
    """Add the narrow graph to the others in `out`, and check all; write the card and golden pairs.

    Raises `ValueError` where a logit depends on its neighbours, or first words aren't found.
    """
    paths = {name: out / file for name, file in GRAPHS.items()}
    narrow = in_narrow(paths["int8"])
    paths[NARROW_INT8].write_bytes(narrow.SerializeToString(deterministic=True))
    tokenizer = load_tokenizer(out / "tokenizer.json")
    shipped = {name: OnnxScorer(path, tokenizer) for name, path in paths.items()}
    for scorer in shipped.values():
        verify(scorer, neighbour_tolerance(fit))
    texts = [*PAIRS, *pairs.texts[:: len(pairs.texts) // COMPARED]]
    logits = {name: each(texts) for name, each in shipped.items()}
    distances = {
        name: distance(logits["fp32"], found) for name, found in logits.items() if name != "fp32"
    }
    write_json(out / "card.json", card(model, weights_sha256, fit, distances, out))
    write_json(out / "golden.json", golden(paths["fp32"], logits["fp32"][: len(PAIRS)]))
    found = sentences_found(Reranker(out, precision="fp32"))
    if found < len(SENTENCES):
        raise ValueError(
            f"only {found} of {len(SENTENCES)} sentences are found by their first word"
        )
    for path in sorted(out.iterdir()):
        log.info("%s  %9d  %s", sha256(path), path.stat().st_size, path.name)


def golden(graph: Path, logits: NDArray[np.float32]) -> dict[str, Any]:
    """What `golden.json` says: the `logits` of `PAIRS` by the float32 `graph`."""
    return {
        "model_sha256": sha256(graph),
        "tolerance": TOLERANCE,
        "pairs": [
            {"query": query, "document": document, "logit": round(float(logit), 5)}
            for (query, document), logit in zip(PAIRS, logits, strict=True)
        ],
    }


def distance(expected: NDArray[np.float32], found: NDArray[np.float32]) -> dict[str, float]:
    """How far logits are from those of float32, `[pairs]` each."""
    differences = np.abs(found - expected)
    return {
        "pairs": len(differences),
        "mean": float(f"{differences.mean():.3g}"),
        "largest": float(f"{differences.max():.3g}"),
        "kendall_tau": round(kendall_tau(expected, found), 4),
    }


def verify(scorer: OnnxScorer, tolerance: float) -> None:
    """Raise unless a pair's logit is the same alone, among the golden pairs and under padding."""
    together = scorer(PAIRS)
    alone = [float(scorer([pair])[0]) for pair in PAIRS]
    moved = max(abs(left - right) for left, right in zip(together.tolist(), alone, strict=True))
    if not moved <= tolerance:
        raise ValueError(f"a logit moves by {moved} with its neighbours")
    log.info("largest move of a logit with its neighbours: %.1e", moved)
