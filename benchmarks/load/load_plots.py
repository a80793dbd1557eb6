"""The plots of a run.

python load_plots.py RESULTS.json FILE.svg
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any

from look import Curve, latencies


def main(results: dict[str, Any], file: Path) -> None:
    """Latency percentiles over throughput, for each mix and kind of request."""
    panels: dict[str, dict[str, Curve]] = {}
    for (panel, side), curve in _points(results).items():
        panels.setdefault(panel, {})[side] = curve
    if panels:
        file.write_text(latencies("load", panels, (0.5, 0.95, 0.99)), encoding="utf-8")


def _points(results: dict[str, Any]) -> dict[tuple[str, str], list[tuple[float, list[float]]]]:
    """For each panel and side, throughput and latencies of all rounds, by rate."""
    runs: dict[tuple[str, str], dict[float, list[tuple[float, list[float]]]]] = {}
    for run in results["runs"]:
        settings, figures = run["settings"], run["figures"]
        if settings["scenario"] != "open":
            continue
        for kind, found in figures["latencies"].items():
            panel = f"{settings['mix']}, by {settings['by']}: {kind}"
            at = runs.setdefault((panel, run["side"]), {}).setdefault(settings["share"], [])
            at.append((figures["throughput"], found))
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
