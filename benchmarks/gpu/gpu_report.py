"""The page of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from gpu_figures import (
    OURS,
    TARGETS,
    best_passes,
    floor,
    milliseconds,
    of_part,
    ours,
    pairs_a_second,
    rate_share,
    shapes_of,
    times_as_fast,
)

_PARTS = {
    "throughput": "Throughput, each in the fastest of its settings",
    "defaults": "Throughput, as each comes",
}
_PLACE = "[benchmarks](../../README.md#gpupy-rerankers-on-one-gpu)"


def page(results: Mapping[str, Any]) -> str:
    """All that there is, as Markdown."""
    cells = results["cells"]
    sections = [_head(results)]
    if shapes_of(cells) and "driver" in results:
        sections += ["## Targets", _targets(results)]
    for part, title in _PARTS.items():
        found = [_throughput(cell, results["rates"]["bf16"]) for cell in of_part(cells, part)]
        sections += [f"## {title}", *found] if found else []
    for title, table in (
        ("Latency", _latency(results)),
        ("Where resift's time goes", _phases(cells)),
        ("Tokens of a pass", _sweep(cells)),
        ("The host alone", _host(cells)),
        ("Settings that were tried", _tried(cells)),
        ("Left out", _left_out(results)),
    ):
        sections += [f"## {title}", table] if table else []
    return "\n\n".join(sections) + "\n"


def _head(results: Mapping[str, Any]) -> str:
    on_gpu = "driver" in results
    title = f"# Rerankers on one GPU: {results['device']}"
    if not on_gpu:
        title = "# A trial of the benchmark for GPUs, on a CPU"
    versions = ", ".join(
        f"{name} {found or 'not installed'}" for name, found in results["versions"].items()
    )
    where = f"{results['processor']}, {results['processors']} processors"
    parts = [title]
    if on_gpu:
        memory = f"{results['memory'] / 2**30:.0f} GiB"
        where = (
            f"{results['device']}, {memory}, {results['multiprocessors']} multiprocessors, driver "
            f"{results['driver']}, CUDA {results['cuda']}; {where}"
        )
    else:
        parts.append("**Nothing here is of a GPU**, and all systems are in float32.")
    parts.append(f"{where}. {versions}.")
    if "rates" in results:
        rates = " and ".join(
            f"{each / 1e12:.3g} TFLOP/s in {name}" for name, each in results["rates"].items()
        )
        parts.append(f"Products of large random matrices: {rates}.")
    commands = "; ".join(f"`{run['command']}` ({run['date']})" for run in results["runs"])
    parts.append(f"Made by {commands}. How it is measured: {_PLACE}.")
    return "\n\n".join(parts)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def _targets(results: Mapping[str, Any]) -> str:
    cells, rate = results["cells"], results["rates"]["bf16"]
    rows = [
        [shape, *(target.said(target.of(cells, shape, rate)) for target in TARGETS)]
        for shape in shapes_of(cells)
    ]
    said = (
        "The least of both loads. Beside others' best stands resift in bfloat16. The share of the "
        "rate is an aim for bge-reranker-v2-m3 alone."
    )
    return _table(["shape", *(target.name for target in TARGETS)], rows) + "\n\n" + said


def _throughput(cell: Mapping[str, Any], rate: float) -> str:
    mine, mean = ours(cell), sum(cell["tokens"]) / len(cell["tokens"] or [1]) / cell["pairs"]
    rows = []
    for name, found in cell["systems"].items():
        faster = f"{times_as_fast(cell, mine, name):.2f}" if mine and name != mine else ""
        rows.append(
            [
                name,
                found["setting"],
                f"{pairs_a_second(cell, name):,.1f}",
                f"{rate_share(cell, name, rate):.1%}",
                faster,
                _memory(found),
                _off(found),
            ]
        )
    rows += [[name, why, "", "", "", "", ""] for name, why in cell["failed"].items()]
    rounds = max((len(each["seconds"]) for each in cell["systems"].values()), default=0)
    title = (
        f"**{cell['shape']}**, {cell['pairs']:,} pairs, {cell['kind']} tokens (mean {mean:.0f}), "
        f"{rounds} rounds"
    )
    head = ["system", "setting", "pairs/s", "share of the bf16 rate"]
    head += [f"{mine or OURS} is × as fast", "GB: weights, tensors, taken", "off by"]
    return title + "\n\n" + _table(head, rows)


def _memory(found: Mapping[str, Any]) -> str:
    if "peak" not in found:
        return ""
    return ", ".join(f"{found[each] / 1e9:.1f}" for each in ("weights", "peak", "reserved"))


def _off(found: Mapping[str, Any]) -> str:
    if "off" not in found:
        return str(found.get("off_failed", ""))
    return f"{found['off']:.0e} of {found['spread']:.2g}"


def _latency(results: Mapping[str, Any]) -> str:
    rows = []
    for cell in of_part(results["cells"], "latency"):
        least = f"{floor(cell, results['rates']['bf16']):.1f}"
        for name, found in cell["systems"].items():
            times = [f"{milliseconds(cell, name, share):.1f}" for share in (None, 0.95)]
            rows.append([cell["shape"], cell["pairs"], name, found["setting"], *times, least])
        rows += [
            [cell["shape"], cell["pairs"], name, why, "", "", least]
            for name, why in cell["failed"].items()
        ]
    if not rows:
        return ""
    said = (
        "A query with so many documents of 256 tokens each, one call at a time, other texts in "
        "each. The floor is what the products alone take at the measured bfloat16 rate.\n\n"
    )
    head = ["shape", "documents", "system", "setting", "median, ms", "p95, ms", "floor, ms"]
    return said + _table(head, rows)


def _phases(cells: Mapping[str, Any]) -> str:
    rows = []
    for cell in cells.values():
        for name, found in cell.get("systems", {}).items():
            phases = found.get("phases")
            if phases and cell["part"] != "sweep":
                times = [f"{1000 * phases.get(each, 0.0):.1f}" for each in ("tokenize", "infer")]
                load = f"{cell['pairs']:,} × {cell['kind']}"
                rows.append([cell["shape"], load, name, *times, f"{milliseconds(cell, name):.1f}"])
    if not rows:
        return ""
    said = (
        "Milliseconds, medians of three calls of their own; the last column is of the rounds.\n\n"
    )
    return said + _table(["shape", "pairs", "system", "tokenize", "infer", "whole call"], rows)


def _sweep(cells: Mapping[str, Any]) -> str:
    found = list(of_part(cells, "sweep"))
    if not found:
        return ""
    names = list(dict.fromkeys(name for cell in found for name in cell["systems"]))
    rows = []
    for cell in found:
        times = {name: milliseconds(cell, name) for name in cell["systems"]}
        shown = [f"{times[name]:.1f}" if name in times else "failed" for name in names]
        rows.append([cell["shape"], f"{cell['pairs']:,} × {cell['kind']}", *shown])
    means = best_passes(found)
    rows.append(["mean, by the fastest", "", *(f"{means[name]:.2f}" for name in names)])
    why = sorted({why for cell in found for why in cell["failed"].values()})
    said = "Median milliseconds by `max_batch_tokens`.\n\n"
    return said + _table(["shape", "pairs", *names], rows) + "".join(f"\n\n{each}" for each in why)


def _host(cells: Mapping[str, Any]) -> str:
    cell = cells.get("host")
    if cell is None:
        return ""
    steps = list(next(iter(cell["kinds"].values()))["a_second"])
    rows = [
        [kind, f"{found['tokens']:,}", *(f"{found['a_second'][each] / 1e6:.2f}" for each in steps)]
        for kind, found in cell["kinds"].items()
    ]
    said = (
        f"Millions of tokens a second, {cell['pairs']:,} pairs of English text, "
        f"{cell['processors']} processors. Texts are tokenized before the first pass, and collated "
        "while the device computes; `all` is both, one after the other.\n\n"
    )
    return said + _table(["tokenizer", "tokens", *steps], rows)


def _tried(cells: Mapping[str, Any]) -> str:
    rows = list(_tries(cells))
    return _table(["cell", "system", "setting", "ms, or why not"], rows) if rows else ""


def _tries(cells: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, cell in cells.items():
        for system, found in cell.get("systems", {}).items():
            if len(found["tried"]) < 2:
                continue
            # Whatever failed for one reason is one row.
            for why, each in groupby(found["tried"], key=lambda one: one.get("failed")):
                tries = list(each)
                if why is None:
                    yield from (
                        [name, system, one["setting"], f"{1000 * one['seconds']:.0f}"]
                        for one in tries
                    )
                else:
                    settings = list(dict.fromkeys((tries[0]["setting"], tries[-1]["setting"])))
                    yield [name, system, " … ".join(settings), why]


def _left_out(results: Mapping[str, Any]) -> str:
    return "\n".join(f"- {name}: {why}" for name, why in results["left_out"].items())
