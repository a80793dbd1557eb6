"""A small collection in the BEIR layout, and what was planted in it."""

from __future__ import annotations

import json
import random
from pathlib import Path

from resift.trials import Collection, read_collection

WORDS = [
    "yeast",
    "bread",
    "oven",
    "flour",
    "water",
    "salt",
    "night",
    "train",
    "station",
    "ticket",
    "bridge",
    "tower",
    "museum",
    "garden",
    "door",
    "window",
    "lists",
    "sort",
    "dictionary",
    "value",
    "key",
    "function",
    "class",
    "module",
    "import",
    "error",
    "python",
    "letter",
    "river",
]


def folder(place: Path, queries: int = 30, documents: int = 120, found: int = 20) -> Path:
    """Write a collection: document n is relevant to query n, and found at a random place."""
    rng = random.Random(0)
    (place / "qrels").mkdir(parents=True)
    texts = [
        " ".join(rng.choices(WORDS, k=rng.randint(8, 60))) + f" number {n}."
        for n in range(documents)
    ]
    asked = [" ".join(texts[n].split()[:5]) for n in range(queries)]
    write(place / "corpus.jsonl", [{"_id": f"d{n}", "text": each} for n, each in enumerate(texts)])
    write(place / "queries.jsonl", [{"_id": f"q{n}", "text": each} for n, each in enumerate(asked)])
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(queries))
    (place / "qrels/test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}", encoding="utf-8")
    rows = []
    for n in range(queries):
        others = rng.sample([each for each in range(documents) if each != n], found - 1)
        others.insert(rng.randrange(5), n)
        rows += [
            f"q{n} Q0 d{d} {r} {found - r + rng.random():.4f} m" for r, d in enumerate(others, 1)
        ]
    (place / "run.m.txt").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return place


def write(path: Path, rows: list[dict[str, object]]) -> None:
    text = "".join(json.dumps(each) + "\n" for each in rows)
    path.write_text(text, encoding="utf-8")


def collection(place: Path, **options: int) -> Collection:
    return read_collection(folder(place, **options))
