"""At scale: what a ranking and Ray cost here, and fleets of up to 1,000 hosts on paper.

    python benchmarks/scale.py --quick

Needs resift, resift-ray, simpy and bm25s in this Python. See benchmarks/README.md.
"""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    folder = Path(__file__).resolve().parent
    sys.path[:0] = [str(folder / name) for name in ("scale", "serve", "load", "cpu")]
    sys.exit(import_module("scale_driver").main())
