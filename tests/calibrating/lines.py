"""Judged lines for the tiny model, and the command that reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from resift import Reranker
from resift.cli.main import main
from resift.logistic import sigmoid

QUERIES, DOCUMENTS = 60, 6
Lines = list[dict[str, Any]]


def words(rng: np.random.Generator) -> str:
    return " ".join(rng.choice(["good", "bad", "a", "b", "w1", "w9"], 3))


def searched(model: Path, *, seed: int = 0, queries: int = QUERIES) -> Lines:
    """Queries for the tiny model, whose documents are relevant with ``sigmoid(2 * logit - 1)``."""
    rng = np.random.default_rng(seed)
    reranker = Reranker(model, threads=1)
    lines = []
    for at in range(queries):
        texts = [words(rng) for _ in range(DOCUMENTS)]
        logits = np.array(reranker.score("a", texts, normalization="none"))
        relevant = rng.random(DOCUMENTS) < sigmoid(2 * logits - 1)
        lines.append(
            {
                "query_id": f"q{seed}-{at}",
                "query": "a",
                "model": "recorded-model",
                "candidates": [
                    {"id": f"d{n}", "text": text, "logit": float(logit), "grade": int(grade)}
                    for n, (text, logit, grade) in enumerate(
                        zip(texts, logits, relevant, strict=True)
                    )
                ],
            }
        )
    return lines


def write(path: Path, lines: Lines) -> Path:
    path.write_text("".join(json.dumps(each) + "\n" for each in lines), encoding="utf-8")
    return path


def run(*arguments: object) -> int:
    return main(["calibrate", *map(str, arguments)])


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def without(lines: Lines, *names: str) -> Lines:
    """The same lines, whose candidates lack these keys."""
    return [
        {
            **line,
            "candidates": [
                {name: x for name, x in each.items() if name not in names}
                for each in line["candidates"]
            ],
        }
        for line in lines
    ]
