"""Rerankers on one GPU: ours and others, random weights of published shapes, alternating, medians.

    python benchmarks/gpu.py --minutes 9
    python benchmarks/gpu.py --device cpu --shapes tiny --pairs 20 --out FOLDER

Needs resift[torch], and has a row for FlagEmbedding and sentence-transformers where they are
installed. Without a GPU it says so and ends well. A second call goes on where the first ended. See
benchmarks/README.md.
"""

import sys
from importlib import import_module
from pathlib import Path

if __name__ == "__main__":
    folder = Path(__file__).resolve().parent
    sys.path[:0] = [str(folder / name) for name in ("gpu", "cpu")]
    sys.exit(import_module("gpu_driver").main())
