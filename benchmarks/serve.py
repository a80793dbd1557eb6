"""Rerankers over HTTP: the same load for resift serve, infinity and a plain FastAPI server.

    python benchmarks/serve.py --quick

Needs Python alone: it makes virtual environments. See benchmarks/README.md.
"""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    folder = Path(__file__).resolve().parent
    sys.path[:0] = [str(folder / name) for name in ("serve", "load", "cpu")]
    sys.exit(import_module("serve_driver").main())
