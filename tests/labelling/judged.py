"""Searches to label, and what is in a labels file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

QUERY = "how do I sort a dict by value"
HOSTILE = (
    "<img src=x onerror=alert(1)> \x1b[2J\x1b]0;owned\x07 \u202eevil\u2066 \x00 \x9b31m "
    "<script>alert(2)</script>\r\nsecond line"
)
TEXTS = [
    "Use sorted with a key to sort a dict.",
    HOSTILE,
    "A long answer. " + "Sorted gives a list of the items in order. " * 200,
    "日本語の文書 and café",
]


def write(path: Path, queries: int = 1, texts: list[str] | None = None) -> Path:
    found = TEXTS if texts is None else texts
    candidates = [{"id": f"d{n}", "text": text} for n, text in enumerate(found)]
    lines = [
        {"query_id": f"q{n}", "query": QUERY, "candidates": candidates} for n in range(queries)
    ]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def rows(path: Path) -> list[dict[str, Any]]:
    """All lines of a labels file, each of which must be whole."""
    content = path.read_text(encoding="utf-8")
    assert content == "" or content.endswith("\n")
    return [json.loads(line) for line in content.splitlines()]


def graded(path: Path) -> list[tuple[str, str, int]]:
    return [(row["query_id"], row["document_id"], row["grade"]) for row in rows(path)]
