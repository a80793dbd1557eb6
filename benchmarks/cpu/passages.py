"""Questions on the Python documentation of this installation, with passages of it. Needs bm25s."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import bm25s

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "examples"))

from documentation import documentation  # noqa: E402

CANDIDATES = 100


def candidates(count: int) -> list[tuple[str, list[str]]]:
    """The first of the fifty questions of examples/stores, each with what BM25 finds first."""
    passages = list(documentation().values())
    path = ROOT / "examples/stores/questions/queries.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines()[:count]
    questions: list[str] = [json.loads(line)["text"] for line in lines]
    index = bm25s.BM25()
    index.index(bm25s.tokenize(passages, show_progress=False), show_progress=False)
    tokens = bm25s.tokenize(questions, show_progress=False)
    places, _ = index.retrieve(tokens, k=CANDIDATES, show_progress=False)
    return [
        (question, [passages[place] for place in row])
        for question, row in zip(questions, places, strict=True)
    ]
