"""A copy of a model with one NaN in its weights, in every layout that a system reads.

    python poison.py FOLDER TARGET

Needs onnx and, where there are such weights, safetensors.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np


def main(source: Path, target: Path) -> None:
    """Copy and change."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("openvino"))
    for path in target.rglob("*.onnx"):
        _poison_onnx(path)
    # Weights that lay beside several graphs are in each of them now.
    for path in target.rglob("*.onnx.data"):
        path.unlink()
    for path in target.rglob("*.safetensors"):
        _poison_safetensors(path)
    # As if the author had published it so: what resift would notice of a file that was changed, and
    # of logits that aren't the author's, is not what is asked here.
    for path in target.rglob("golden.json"):
        path.unlink()
    for path in target.rglob("card.json"):
        _correct(path)


def _poison_onnx(path: Path) -> None:
    onnx = import_module("onnx")
    model = onnx.load(path)
    vectors = [
        tensor
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT
        and len(tensor.dims) == 1
        and tensor.dims[0] > 1
    ]
    values = np.array(onnx.numpy_helper.to_array(vectors[0]))
    values[0] = np.nan
    vectors[0].CopyFrom(onnx.numpy_helper.from_array(values, vectors[0].name))
    onnx.save(model, path)


def _poison_safetensors(path: Path) -> None:
    library = import_module("safetensors.numpy")
    weights: dict[str, Any] = library.load_file(path)
    name = next(each for each in weights if each.endswith("LayerNorm.weight"))
    weights[name] = weights[name].copy()
    weights[name][0] = np.nan
    library.save_file(weights, path, metadata={"format": "pt"})


def _correct(path: Path) -> None:
    card = json.loads(path.read_text(encoding="utf-8"))
    for artifact in card["artifacts"]:
        content = (path.parent / artifact["file"]).read_bytes()
        artifact["sha256"] = hashlib.sha256(content).hexdigest()
        for name in ("data_file", "data_sha256"):
            artifact.pop(name, None)
    path.write_text(json.dumps(card, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
