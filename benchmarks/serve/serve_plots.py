"""The plots of a run.

python serve_plots.py RESULTS.json FILE.svg

Needs benchmarks/cpu on its path.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from look import latencies
from serve_report import curves, equal_p95, workloads


def main(results: dict[str, Any], file: Path) -> None:
    """Latency percentiles over throughput, for each workload, with the bound of p95."""
    measured = [each for each in workloads(results) if curves(results, each)]
    if measured:
        panels = {f"{each} documents": curves(results, each) for each in measured}
        bounds = {f"{each} documents": equal_p95(results, each)[0] for each in measured}
        file.write_text(latencies("serve", panels, (0.5, 0.95), bounds), encoding="utf-8")


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")), Path(sys.argv[2]))
