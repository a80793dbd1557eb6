"""Ours and others' rerankers on one CPU: one run, alternating, the same weights for all.

    python benchmarks/cpu.py --quick

Needs Python alone: it makes a virtual environment for each system. See benchmarks/README.md.
"""

import runpy
from pathlib import Path

if __name__ == "__main__":
    runpy.run_path(str(Path(__file__).with_suffix("")), run_name="__main__")
