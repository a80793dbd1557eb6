"""Ours and others' rerankers in hostile conditions: who is right, wrong, crashes, hangs.

    python benchmarks/hostile.py --quick
    python benchmarks/hostile.py --case threads --system flashrank-int8

Needs Python alone: it makes a virtual environment for each system. See benchmarks/README.md.
"""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    folder = Path(__file__).resolve().parent
    sys.path[:0] = [str(folder / "hostile"), str(folder / "cpu")]
    sys.exit(import_module("hostile_driver").main())
