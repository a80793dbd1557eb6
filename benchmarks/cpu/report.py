"""Measurements to Markdown: a small language of tables, and what each column means."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sections
from head import head
from systems import SHAPES

Cell = dict[str, Any]
"""``shape``, ``kind``, ``count``, ``rounds`` (of ``lengths``) and ``systems``: per name its
``runs``, each of which has ``seconds``, ``tokenize``, ``infer``, ``tokens``, ``padded_tokens``."""


_PACKAGES = (
    "resift",
    "flashrank",
    "sentence_transformers",
    "fastembed",
    "rerankers",
    "torch",
    "onnxruntime",
    "openvino",
)


def report(results: dict[str, Any]) -> str:
    """The whole page."""
    names = list(results["systems"])
    parts = [head(results)]
    for shape in dict.fromkeys(cell["shape"] for cell in results["cells"]):
        cells = [cell for cell in results["cells"] if cell["shape"] == shape]
        parts += [f"## {shape}", _medians(cells, names, results["systems"])]
    if results["cells"]:
        parts += ["## Processes", _processes(results, names)]
        parts += ["## The same order?", _agreement(results, names)]
        parts += ["## All measurements", *_details(results, names)]
    return "\n\n".join(part for part in parts if part) + "\n"


def percentile(values: Sequence[float], percent: float) -> float:
    """Linear between the nearest two."""
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def _medians(cells: list[Cell], names: list[str], systems: dict[str, Any]) -> str:
    """Systems down, cells across; the fastest of each cell in bold."""
    present = [name for name in names if any(name in cell["systems"] for cell in cells)]
    heads = [f"{cell['kind']} ×{cell['count']}" for cell in cells]
    medians = [
        {name: median(cell["systems"][name]["runs"]) for name in cell["systems"]} for cell in cells
    ]
    rows = [[name, *(in_bold(name, times) for times in medians)] for name in present]
    comparisons = []
    for title, same_precision in (
        ("fastest peer / fastest resift", False),
        ("the same, fp32 alone", True),
    ):
        row = [title]
        for cell in cells:
            allowed = [
                name
                for name in cell["systems"]
                if not same_precision or systems[name]["precision"] == "fp32"
            ]
            row.append(_peer_ratio(cell, allowed, systems))
        comparisons.append(row)
    rounds = ["rounds", *(str(len(cell["lengths"])) for cell in cells)]
    return (
        "Median milliseconds of one ranking; the fastest in bold. The ratios are medians over "
        "rounds; above 1 resift is faster.\n\n" + table(["", *heads], [*rows, *comparisons, rounds])
    )


def _peer_ratio(cell: Cell, allowed: list[str], systems: dict[str, Any]) -> str:
    def fastest(ours: bool) -> str | None:
        names = [name for name in allowed if systems[name]["ours"] == ours]
        return min(names, key=lambda name: median(cell["systems"][name]["runs"]), default=None)

    peer, resift = fastest(ours=False), fastest(ours=True)
    if peer is None or resift is None:
        return "–"
    return f"{_ratio(cell, peer, resift):.2f}"


def _ratio(cell: Cell, name: str, other: str) -> float:
    """Median over rounds of one system's time by another's, on the same texts."""
    runs, others = cell["systems"][name]["runs"], cell["systems"][other]["runs"]
    pairs = zip(runs, others, strict=True)
    return statistics.median(float(run["seconds"] / base["seconds"]) for run, base in pairs)


def _processes(results: dict[str, Any], names: list[str]) -> str:
    shapes = list(dict.fromkeys(cell["shape"] for cell in results["cells"]))
    rows = []
    for name in names:
        system = results["systems"][name]
        rows.append(
            [
                name,
                _versions(system["versions"]),
                _optional(system["import_seconds"], "{:.2f}"),
                f"{system['installed'] / 1e6:.0f}",
                *(_optional(system["cold_start"].get(shape), "{:.2f}") for shape in shapes),
                *(_memory(system["memory"].get(shape)) for shape in shapes),
            ]
        )
    heads = ["", "packages", "import, s", "installed, MB"]
    heads += [f"cold start, s: {shape}" for shape in shapes]
    heads += [f"memory, MB: {shape}" for shape in shapes]
    return (
        "Import: in a new process. Installed: the packages alone, without Python, pip and the "
        "measured model. Cold start: from starting a process to its first ranking of ten short "
        "documents. Memory: resident after loading → at most, after all cells of the shape.\n\n"
        + table(heads, rows)
    )


def _agreement(results: dict[str, Any], names: list[str]) -> str:
    shapes = list(dict.fromkeys(cell["shape"] for cell in results["cells"]))
    rows = [
        [name, *(order(results["systems"][name]["agreement"].get(shape)) for shape in shapes)]
        for name in names
    ]
    return (
        "Against the same weights in float32, run by transformers one document at a time: the "
        "lowest Kendall tau of all kinds of documents, and how many of the first ten are the "
        "same.\n\n" + table(["", *shapes], rows)
    )


def _details(results: dict[str, Any], names: list[str]) -> list[str]:
    systems = results["systems"]
    best = {kind: max(each.values()) * 1e9 for kind, each in results["ceiling"].items()}
    base = next((name for name in names if systems[name]["ours"]), None)
    parts = [
        "Times in ms. With few rounds p95 and p99 say little more than the slowest. "
        "tokens/s: without padding. Share: matrix products that the tokens need, by the time of "
        "the whole ranking, of the ceiling of the system's precision. Tokenise, infer, other: "
        "medians; other is batching, conversion and sorting. Padding: tokens computed beyond "
        f"those needed. vs: time by that of {base}."
    ]
    heads = ["", "p50", "p95", "p99", "vs", "tokens/s", "share", "tokenise", "infer", "other"]
    for cell in results["cells"]:
        shape = SHAPES[cell["shape"]]
        rows = []
        for name in names:
            if name not in cell["systems"]:
                continue
            runs = cell["systems"][name]["runs"]
            seconds = [run["seconds"] for run in runs]
            needed = list(zip(seconds, cell["lengths"], strict=True))
            rate = statistics.median(sum(lengths) / time for time, lengths in needed)
            work = statistics.median(shape.operations(lengths) / time for time, lengths in needed)
            padding = sum(run["padded_tokens"] for run in runs) / sum(run["tokens"] for run in runs)
            compared = (
                f"{_ratio(cell, name, base):.2f}" if base and base in cell["systems"] else "–"
            )
            other = [run["seconds"] - run["tokenize"] - run["infer"] for run in runs]
            rows.append(
                [
                    name,
                    *(milliseconds(percentile(seconds, percent)) for percent in (50, 95, 99)),
                    compared,
                    f"{rate:.0f}",
                    _share(work, best.get(systems[name]["precision"])),
                    milliseconds(statistics.median(run["tokenize"] for run in runs)),
                    milliseconds(statistics.median(run["infer"] for run in runs)),
                    milliseconds(statistics.median(other)),
                    f"{padding - 1:.0%}",
                ]
            )
        title = f"### {cell['shape']}, {cell['kind']} ×{cell['count']}"
        parts += [title, table([*heads, "padding"], rows)]
    return parts


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; numbers at the right."""
    return sections.table(heads, rows, "--:")


def median(runs: list[dict[str, float]]) -> float:
    """Of a system's times in one cell, in seconds."""
    return statistics.median(run["seconds"] for run in runs)


def milliseconds(seconds: float) -> str:
    """Three digits, or all before the point."""
    value = seconds * 1000
    return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f}"


def in_bold(name: str, times: Mapping[str, float]) -> str:
    """A system's time, in bold where it is the lowest."""
    if name not in times:
        return "–"
    text = milliseconds(times[name])
    return f"**{text}**" if times[name] == min(times.values()) else text


def _versions(installed: dict[str, str]) -> str:
    return ", ".join(f"{name} {installed[name]}" for name in _PACKAGES if name in installed)


def _optional(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _share(rate: float, ceiling: float | None) -> str:
    return "–" if ceiling is None else f"{rate / ceiling:.0%}"


def _memory(value: dict[str, int | None] | None) -> str:
    if not value or value["loaded"] is None:
        return "–"
    peak = "–" if value["peak"] is None else f"{value['peak'] / 1e6:.0f}"
    return f"{value['loaded'] / 1e6:.0f} → {peak}"


def order(value: dict[str, float] | None) -> str:
    """How near a system's order is to the reference's."""
    return f"{value['tau']:.3f}, {value['top']:.0f}" if value else "–"
