"""Scripts here import each other by name."""

import sys
from pathlib import Path

TRAINING = Path(__file__).parents[1]
BENCHMARK = TRAINING.parent / "benchmarks/first_stages"
sys.path[:0] = [str(TRAINING / "make"), str(TRAINING / "measure"), str(BENCHMARK)]
