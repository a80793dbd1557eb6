"""The plots of a run.

python load_plots.py RESULTS.json FILE.svg
"""

from __future__ import annotations

import json
import statistics
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from lag import percentile

_STYLES = {0.5: ":", 0.95: "--", 0.99: "-"}


def main(results: dict[str, Any], file: Path) -> None:
    """Latency percentiles over throughput, for each mix and kind of request."""
    matplotlib = import_module("matplotlib")
    matplotlib.use("Agg")
    # The same file for the same figures.
    matplotlib.rcParams["svg.hashsalt"] = "load"
    pyplot = import_module("matplotlib.pyplot")
    points = _points(results)
    panels = list(dict.fromkeys(panel for panel, _ in points))
    if not panels:
        return
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(5 * len(panels), 5), squeeze=False, layout="constrained"
    )
    for axis, panel in zip(axes[0], panels, strict=True):
        for number, side in enumerate(results["sides"]):
            curve = points.get((panel, side), [])
            for share, style in _STYLES.items():
                axis.plot(
                    [throughput for throughput, _ in curve],
                    [1000 * percentile(latencies, share) for _, latencies in curve],
                    style,
                    marker=".",
                    color=f"C{number}",
                    label=f"{side}, p{share * 100:.0f}",
                )
        axis.set(yscale="log", xlabel="requests done a second", ylabel="latency, ms", title=panel)
    axes[0][0].legend(fontsize="small")
    figure.savefig(file, metadata={"Date": None})


def _points(results: dict[str, Any]) -> dict[tuple[str, str], list[tuple[float, list[float]]]]:
    """For each panel and side, throughput and latencies of all rounds, by rate."""
    runs: dict[tuple[str, str], dict[float, list[tuple[float, list[float]]]]] = {}
    for run in results["runs"]:
        settings, figures = run["settings"], run["figures"]
        if settings["scenario"] != "open":
            continue
        for kind, latencies in figures["latencies"].items():
            panel = f"{settings['mix']}, by {settings['by']}: {kind}"
            at = runs.setdefault((panel, run["side"]), {}).setdefault(settings["share"], [])
            at.append((figures["throughput"], latencies))
    return {
        key: [
            (
                statistics.median(throughput for throughput, _ in found),
                [latency for _, latencies in found for latency in latencies],
            )
            for _, found in sorted(by_share.items())
        ]
        for key, by_share in runs.items()
    }


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
