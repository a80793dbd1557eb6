"""Where things are, what a bundled model's files are called, and how they are read and written."""

import json
import tomllib
from pathlib import Path
from typing import Any

from resift.precision import NARROW_INT8

TRAINING = Path(__file__).parents[1]
CACHE = TRAINING / ".cache"
RECIPE = TRAINING / "make/recipe.toml"
# Of the checkout: an installed copy of resift isn't what is made here.
BUNDLED = TRAINING.parent / "src/resift/bundled"

# The preferred one first.
GRAPHS = {"int8": "model_int8.onnx", NARROW_INT8: "model_int8_narrow.onnx", "fp32": "model.onnx"}
WEIGHTS = "model.onnx.data"
TOKENIZER = "tokenizer.json"


def read_recipe(path: Path = RECIPE) -> dict[str, Any]:
    """The configuration of all stages."""
    return tomllib.loads(path.read_text(encoding="utf-8"))


def read_formula(model: str, path: Path = RECIPE) -> dict[str, float]:
    """`power` and `share` of a model."""
    recipe = read_recipe(path)
    return {key: recipe[model].get(key, value) for key, value in recipe["formula"].items()}


def read_measured(model: str) -> dict[str, Any]:
    """What `evaluate.py` found for a model, by collection; nothing where it wasn't run."""
    own = TRAINING / f"measured-{model}.json"
    path = own if own.exists() else TRAINING / "measured.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def read_card(folder: Path) -> dict[str, Any]:
    """`card.json` of the model in `folder`."""
    card: dict[str, Any] = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    return card


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Indented, with a newline at the end."""
    path.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
