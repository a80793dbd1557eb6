"""A model with four files of weights."""

from __future__ import annotations

from hashlib import sha256

import pytest
import tiny_models
from hub_client import NEEDED
from plan.carded import card_of


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> dict[str, bytes]:
    """A repository whose card lists four files of weights, no two of them alike."""
    half = tiny_models.build(tmp_path_factory.mktemp("half"), precision="fp16")
    graph = files["model.onnx"]
    weights = {
        "int8.onnx": tiny_models.named(graph, "int8"),
        "fp16.onnx": (half / "model_fp16.onnx").read_bytes(),
        "fp32.onnx": tiny_models.named(graph, "fp32"),
        "model.safetensors": b"weights",
    }
    listed = [
        {
            "format": name.replace("model.", "").split(".")[-1],
            "precision": name.split(".")[0].replace("model", "fp32"),
            "file": name,
            "sha256": sha256(content).hexdigest(),
        }
        for name, content in weights.items()
    ]
    described = {name: files[name] for name in NEEDED - {"model.onnx"}}
    return {**described, **weights, "card.json": card_of(listed)}
