"""What is measured, and what `training/make` says of it.

The one module here that knows that folder: a script has its own on its path, and no other.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "make"))

import by_text
import calibration
import shipped_encoder
import stages
from files import BUNDLED, CACHE, GRAPHS, read_card, write_json
from golden import sentences_found
from scoring import WINDOW
from table import MODELS
from teachers import TEACHERS, fetch

__all__ = [
    "BUNDLED",
    "CACHE",
    "GRAPHS",
    "MODELS",
    "TEACHERS",
    "WINDOW",
    "by_text",
    "calibration",
    "fetch",
    "read_card",
    "sentences_found",
    "shipped_encoder",
    "stages",
    "write_json",
]
