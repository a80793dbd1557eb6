"""Rows of datasets for tests, files of them, and what is written of them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from resift.datasets import Asked, Columns, Rank, Report, Task, rerank_files

DOCUMENTS = ["bad", "a good a", "b", "good", "w3 w4"]


def row(number: int, **more: Any) -> dict[str, Any]:
    """A row whose documents and their order depend on its number."""
    shift = number % len(DOCUMENTS)
    found = [f"{text} w{number % 10}" for text in DOCUMENTS[shift:] + DOCUMENTS[:shift]]
    return {"id": number, "query": f"a w{number % 7}", "documents": found, **more}


def write_lines(path: Path, rows: Iterable[Any]) -> Path:
    """Write JSON lines; what is a ``str`` is a line as it is."""
    lines = (each if isinstance(each, str) else json.dumps(each) for each in rows)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def asked(model: Path, task: Task | None = None, **more: Any) -> Asked:
    """A question to a dataset, with a tiny model."""
    columns = Columns(**{"id": "id", **more.pop("columns", {})})
    options = {"model": str(model), **more.pop("options", {})}
    return Asked(columns=columns, task=task or Rank(), options=options, **more)


def rerank(source: Path, out: Path, asked: Asked, **more: Any) -> Report:
    """Rerank files in this process."""
    return rerank_files(source, out, asked, **more)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a file of JSON lines."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def output(out: Path) -> list[dict[str, Any]]:
    """The rows of all parts, in order."""
    return [each for part in sorted(out.glob("part-*.jsonl")) for each in read_lines(part)]


def rejected(out: Path) -> list[dict[str, Any]]:
    """The entries of rejected rows."""
    return read_lines(out / "_rejected.jsonl")


def content(out: Path) -> Mapping[str, bytes]:
    """The bytes of the parts and of the rejected rows, by name."""
    found = [*out.glob("part-*"), out / "_rejected.jsonl"]
    return {each.name: each.read_bytes() for each in sorted(found)}
