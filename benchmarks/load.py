"""Resift under load: throughput against latency, fairness, deadlines, drift.

    python benchmarks/load.py --quick
    python benchmarks/load.py --against REVISION

Needs Python alone: it makes a virtual environment. See benchmarks/README.md.
"""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    folder = Path(__file__).resolve().parent
    sys.path[:0] = [str(folder / "load"), str(folder / "cpu")]
    sys.exit(import_module("load_driver").main())
