"""The plots of a run.

python plots.py RESULTS.json FOLDER
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

_PHASES: dict[str, Callable[[dict[str, float]], float]] = {
    "tokenise": lambda run: run["tokenize"],
    "infer": lambda run: run["infer"] * run["tokens"] / run["padded_tokens"],
    "infer padding (by tokens)": lambda run: (
        run["infer"] * (1 - run["tokens"] / run["padded_tokens"])
    ),
    "other": lambda run: run["seconds"] - run["tokenize"] - run["infer"],
}


def main(results: dict[str, Any], folder: Path) -> None:
    """For each shape: time by number of candidates, and where the largest cells' time goes."""
    matplotlib = import_module("matplotlib")
    matplotlib.use("Agg")
    pyplot = import_module("matplotlib.pyplot")
    colours = pyplot.get_cmap("tab20").colors
    styles = {name: colours[i % 20] for i, name in enumerate(results["systems"])}
    for shape in dict.fromkeys(cell["shape"] for cell in results["cells"]):
        cells = [cell for cell in results["cells"] if cell["shape"] == shape]
        kinds = list(dict.fromkeys(cell["kind"] for cell in cells))
        figure, axes = pyplot.subplots(
            1, len(kinds), figsize=(5 * len(kinds), 5), squeeze=False, layout="constrained"
        )
        for axis, kind in zip(axes[0], kinds, strict=True):
            _times(axis, [cell for cell in cells if cell["kind"] == kind], styles, results)
            axis.set_title(f"{shape}, {kind} documents")
        handles, labels = axes[0][0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
        figure.savefig(folder / f"cpu-{shape}-times.png", dpi=120)
        pyplot.close(figure)

        figure, axes = pyplot.subplots(
            1, len(kinds), figsize=(5 * len(kinds), 5), squeeze=False, layout="constrained"
        )
        for axis, kind in zip(axes[0], kinds, strict=True):
            largest = max(
                (cell for cell in cells if cell["kind"] == kind), key=lambda cell: cell["count"]
            )
            _shares(axis, largest)
            axis.set_title(f"{shape}, {kind} ×{largest['count']}")
        figure.savefig(folder / f"cpu-{shape}-phases.png", dpi=120)
        pyplot.close(figure)


def _times(
    axis: Any, cells: list[dict[str, Any]], styles: dict[str, Any], results: dict[str, Any]
) -> None:
    for name, colour in styles.items():
        measured = [cell for cell in cells if name in cell["systems"]]
        axis.plot(
            [cell["count"] for cell in measured],
            [
                statistics.median(run["seconds"] * 1000 for run in cell["systems"][name]["runs"])
                for cell in measured
            ],
            marker="o",
            color=colour,
            label=name,
            linewidth=2.5 if results["systems"][name]["ours"] else 1,
        )
    axis.set(xscale="log", yscale="log", xlabel="candidates", ylabel="median, ms")
    counts = [cell["count"] for cell in cells]
    axis.set_xticks(counts, [str(count) for count in counts])
    axis.set_xticks([], minor=True)


def _shares(axis: Any, cell: dict[str, Any]) -> None:
    names = list(cell["systems"])[::-1]
    start = [0.0] * len(names)
    for phase, seconds in _PHASES.items():
        widths = [
            1000 * statistics.median(map(seconds, cell["systems"][name]["runs"])) for name in names
        ]
        axis.barh(names, widths, left=start, label=phase)
        start = [a + b for a, b in zip(start, widths, strict=True)]
    axis.set_xlabel("median, ms")
    axis.legend(fontsize="small")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
