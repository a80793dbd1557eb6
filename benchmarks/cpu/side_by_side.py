"""The committed results of all classes of processors side by side.

    python benchmarks/cpu/side_by_side.py

Writes ``results/README.md`` and the table in the project's README.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from environments import ROOT
from head import simulated
from report import in_bold, median, order, table

PAGE = ROOT / "benchmarks/results/README.md"
README = ROOT / "README.md"
_TITLES = {"avx512-vnni": "AVX-512 VNNI", "avx2": "AVX2"}
# The project's README shows these, and one cell.
_CELL = ("MiniLM-L6", "mixed", 50)
_ROWS = {
    "resift-onnx-int8": "resift, int8 (`resift export --precision int8`)",
    "resift-openvino-bf16": "resift, bfloat16 on OpenVINO",
    "sentence-transformers-openvino-int8": "sentence-transformers {}, static int8 on OpenVINO",
    "resift-onnx-fp32": "resift, float32",
    "sentence-transformers-onnx-int8": "sentence-transformers {}, int8 on ONNX Runtime",
    "fastembed-int8": "fastembed {}, int8",
    "flashrank-int8": "FlashRank {}, int8",
    "sentence-transformers-torch-fp32": "sentence-transformers {}, float32 on torch",
}
_TABLE = re.compile(r"(?<=\n)\| \|[^\n]*\n\|---\|[^\n]*\n(\|[^\n]*\n)+")

Results = dict[str, Any]
"""What ``cpu.json`` has."""


def main() -> None:
    """Write both."""
    results = committed(ROOT / "benchmarks/results")
    PAGE.write_text(page(results), encoding="utf-8")
    text = README.read_text(encoding="utf-8")
    before, heading, speed = text.partition("\n## Speed\n")
    speed = _TABLE.sub(lambda _: readme_table(results), speed, count=1)
    README.write_text(before + heading + speed, encoding="utf-8")


def committed(folder: Path) -> list[Results]:
    """The results of each class; the one with the fastest products first."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*/cpu.json")]
    return sorted(found, key=lambda each: -max(each["ceiling"]["fp32"].values()))


def page(results: list[Results]) -> str:
    """Every cell that was measured, classes across."""
    parts = [
        "# Rerankers on one CPU: classes of processors side by side",
        "Made by `python benchmarks/cpu/side_by_side.py` from the results below. Median "
        "milliseconds of one ranking, the fastest of a class in bold. Compare within a class: each "
        "was measured in a run of its own.",
        "\n".join(_line(each) for each in results),
    ]
    titles = [_title(each) for each in results]
    cells = {_key(cell): None for each in results for cell in each["cells"]}
    for shape, kind, count in cells:
        times = [_times(each, (shape, kind, count)) for each in results]
        rows = [
            [name, *(in_bold(name, each) for each in times)]
            for name in dict.fromkeys(name for each in times for name in each)
        ]
        parts += [f"## {shape}, {kind} ×{count}", table(["", *titles], rows)]
    for shape in dict.fromkeys(shape for shape, _, _ in cells):
        parts += [
            f"## {shape}, the same order?",
            "Against the same weights in float32: the lowest Kendall tau of all kinds of "
            "documents, and how many of the first ten are the same.",
            table(["", *titles], _orders(results, shape)),
        ]
    return "\n\n".join(parts) + "\n"


def readme_table(results: list[Results]) -> str:
    """The project's README's: a few systems, one cell, sorted by the first class."""
    times = [_times(each, _CELL) for each in results]
    rows = sorted(
        (name for name in _ROWS if any(name in each for each in times)),
        key=lambda name: [each.get(name, float("inf")) for each in times],
    )
    lines = [
        f"| | {' | '.join(_title(each) for each in results)} |",
        f"|---|{'--:|' * len(results)}",
    ]
    for name in rows:
        cells = [f"{1000 * each[name]:.0f}" if name in each else "–" for each in times]
        lines.append(f"| {_ROWS[name].format(_version(results, name))} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _line(each: Results) -> str:
    processor = f"{each['processor']}, {each['threads']} threads, {each['date']}"
    how = ", simulated" if simulated(each) else ""
    return f"- [{_title(each)}]({each['class']}/cpu.md): {processor}{how}"


def _title(each: Results) -> str:
    return str(_TITLES.get(each["class"], each["class"]))


def _orders(results: list[Results], shape: str) -> list[list[str]]:
    names = dict.fromkeys(name for each in results for name in each["systems"])
    found = [
        {name: system["agreement"].get(shape) for name, system in each["systems"].items()}
        for each in results
    ]
    return [[name, *(order(each.get(name)) for each in found)] for name in names]


def _times(each: Results, key: tuple[str, str, int]) -> dict[str, float]:
    cells = [cell for cell in each["cells"] if _key(cell) == key]
    return {
        name: median(system["runs"]) for cell in cells for name, system in cell["systems"].items()
    }


def _key(cell: dict[str, Any]) -> tuple[str, str, int]:
    return cell["shape"], cell["kind"], cell["count"]


def _version(results: list[Results], name: str) -> str:
    """Of the system's library, to the minor version, as far as the README names it."""
    found = set()
    for each in results:
        if name in each["systems"]:
            versions = each["systems"][name]["versions"]
            library = next((key for key in versions if name.startswith(key.replace("_", "-"))), "")
            digits = 3 if library == "flashrank" else 2
            found.add(".".join(versions.get(library, "").split(".")[:digits]))
    return "/".join(sorted(found))


if __name__ == "__main__":
    main()
