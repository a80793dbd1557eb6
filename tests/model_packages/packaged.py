"""Wheels of models, as the command writes them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_models

from resift.cli.main import main

MODULE = "resift_model_acme_ranker"
TEXTS = ["good", "bad"]
Capsys = pytest.CaptureFixture[str]


def package(model: Path, out: Path, *options: str, name: str = "acme-ranker") -> Path:
    """The wheel that the command writes."""
    command = ["models", "package", str(model), "--name", name, "--version", "1.2.0"]
    assert main([*command, "--out", str(out), *options]) == 0
    (wheel,) = out.glob(f"{name.replace('-', '_')}-*.whl")
    return wheel


def refused(capsys: Capsys, *options: str) -> str:
    capsys.readouterr()
    assert main(["models", "package", *options]) in (2, 3)
    return capsys.readouterr().err


def install(wheel: Path, folder: Path) -> Path:
    """Install a wheel as pip does without a network."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-index"]
    subprocess.run(
        [*command, "--no-deps", "--no-compile", "--target", str(folder), str(wheel)],
        check=True,
        timeout=120,
    )
    return folder


def without_digests(folder: Path) -> None:
    tiny_models.build(folder)
    artifact = {"format": "onnx", "precision": "fp32", "file": "model.onnx"}
    card = {"max_length": 32, "window": 32, "tolerance": 1e-4, "artifacts": [artifact]}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
