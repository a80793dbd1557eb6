"""The plots of a run.

python plots.py RESULTS.json FOLDER
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from look import COLOURS, HATCHES, PANEL, label, logarithmic, plot, style

Cell = dict[str, Any]

# Milliseconds of a run.
_PHASES: dict[str, Callable[[dict[str, float]], float]] = {
    "tokenise": lambda run: 1000 * run["tokenize"],
    "infer": lambda run: 1000 * run["infer"] * run["tokens"] / run["padded_tokens"],
    "infer padding (by tokens)": lambda run: (
        1000 * run["infer"] * (1 - run["tokens"] / run["padded_tokens"])
    ),
    "other": lambda run: 1000 * (run["seconds"] - run["tokenize"] - run["infer"]),
}


def _ms(run: dict[str, float]) -> float:
    return 1000 * run["seconds"]


def main(results: dict[str, Any], folder: Path) -> None:
    """For each shape: time by number of candidates, and where the largest cells' time goes."""
    for shape in dict.fromkeys(cell["shape"] for cell in results["cells"]):
        kinds: dict[str, list[Cell]] = {}
        for cell in results["cells"]:
            if cell["shape"] == shape:
                kinds.setdefault(cell["kind"], []).append(cell)
        for name, svg in (
            ("times", _times(shape, kinds, results["systems"])),
            ("phases", _phases(shape, kinds)),
        ):
            (folder / f"cpu-{shape}-{name}.svg").write_text(svg, encoding="utf-8")


def _times(shape: str, kinds: dict[str, list[Cell]], systems: dict[str, Any]) -> str:
    said = "; ".join(
        f"{kind}, {cell['count']} candidates: "
        + ", ".join(f"{name} {_median(_ms, run):.1f} ms" for name, run in cell["systems"].items())
        for kind, cells in kinds.items()
        for cell in cells
    )
    title = f"{shape}: median milliseconds by candidates"
    with plot(f"times-{shape}", title, said, size=PANEL, columns=len(kinds)) as drawn:
        for axis, (kind, cells) in zip(drawn.panels[0], kinds.items(), strict=True):
            for number, (name, system) in enumerate(systems.items()):
                measured = [cell for cell in cells if name in cell["systems"]]
                axis.plot(
                    [cell["count"] for cell in measured],
                    [_median(_ms, cell["systems"][name]) for cell in measured],
                    label=label(name),
                    **style(number) | ({"linewidth": 3} if system["ours"] else {}),
                )
            logarithmic(axis)
            axis.set_title(f"{shape}, {kind} documents")
            axis.set(xlabel="candidates", ylabel="median, ms")
            counts = [cell["count"] for cell in cells]
            axis.set_xticks(counts, [str(count) for count in counts])
            axis.set_xticks([], minor=True)
        handles, labels = drawn.axes.get_legend_handles_labels()
        drawn.figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    return drawn.file


def _phases(shape: str, kinds: dict[str, list[Cell]]) -> str:
    largest = {kind: max(cells, key=lambda cell: cell["count"]) for kind, cells in kinds.items()}
    said = "; ".join(
        f"{kind}, {name}: "
        + ", ".join(f"{phase} {_median(ms, run):.1f} ms" for phase, ms in _PHASES.items())
        for kind, cell in largest.items()
        for name, run in cell["systems"].items()
    )
    title = f"{shape}: median milliseconds of each phase"
    with plot(f"phases-{shape}", title, said, size=PANEL, columns=len(kinds)) as drawn:
        for axis, (kind, cell) in zip(drawn.panels[0], largest.items(), strict=True):
            names = list(cell["systems"])[::-1]
            start = [0.0] * len(names)
            for number, (phase, ms) in enumerate(_PHASES.items()):
                widths = [_median(ms, cell["systems"][name]) for name in names]
                axis.barh(
                    list(map(label, names)),
                    widths,
                    left=start,
                    label=phase,
                    color="none",
                    edgecolor=COLOURS[number],
                    hatch=HATCHES[number],
                )
                start = [a + b for a, b in zip(start, widths, strict=True)]
            axis.set(xlabel="median, ms", title=f"{shape}, {kind} ×{cell['count']}")
        handles, labels = drawn.axes.get_legend_handles_labels()
        drawn.figure.legend(handles, labels, loc="outside lower center", ncols=4, fontsize="small")
    return drawn.file


def _median(ms: Callable[[dict[str, float]], float], system: dict[str, Any]) -> float:
    return statistics.median(map(ms, system["runs"]))


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
