"""The plots of a run.

python serve_plots.py RESULTS.json FILE.svg

Needs benchmarks/cpu on its path.
"""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from lag import percentile
from serve_report import curves, equal_p95, workloads

_STYLES = {0.5: ":", 0.95: "-"}


def main(results: dict[str, Any], file: Path) -> None:
    """Latency percentiles over throughput, for each workload, with the bound of p95."""
    matplotlib = import_module("matplotlib")
    matplotlib.use("Agg")
    # The same file for the same figures.
    matplotlib.rcParams["svg.hashsalt"] = "serve"
    pyplot = import_module("matplotlib.pyplot")
    panels = [each for each in workloads(results) if curves(results, each)]
    if not panels:
        return
    figure, axes = pyplot.subplots(
        1, len(panels), figsize=(5 * len(panels), 5), squeeze=False, layout="constrained"
    )
    servers = list(dict.fromkeys(run["server"] for run in results["runs"]))
    for axis, panel in zip(axes[0], panels, strict=True):
        for server, curve in curves(results, panel).items():
            for share, style in _STYLES.items():
                axis.plot(
                    [throughput for throughput, _ in curve],
                    [1000 * percentile(latencies, share) for _, latencies in curve],
                    style,
                    marker=".",
                    color=f"C{servers.index(server)}",
                    label=f"{server}, p{share * 100:.0f}",
                )
        bound, _ = equal_p95(results, panel)
        axis.axhline(1000 * bound, color="grey", linewidth=0.8, label="bound of p95")
        axis.set(xscale="log", yscale="log", title=f"{panel} documents")
        axis.set(xlabel="requests done a second", ylabel="latency, ms")
    axes[0][-1].legend(fontsize="small")
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
