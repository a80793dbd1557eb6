"""Weights of a folder, by its card: chosen, missing, or of a malformed one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from hub_client import BEST, DOCUMENTS, NEEDED
from plan.carded import card_of
from processors import NO_INT8, PROCESSORS

from resift import ModelNotFoundError, Reranker, UnsupportedModelError
from resift.cli.main import main
from resift.loading.opening import load_model


def written(tmp_path: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_weights_for_the_cards_processors_are_chosen(
    tmp_path: Path, files: dict[str, bytes], on: Callable[[str], None]
) -> None:
    described = {name: files[name] for name in NEEDED - {"model.onnx"}}
    weights = {f"{name}.onnx": files["model.onnx"] for name in ("vnni", "arm", "any")}
    cpus = {"vnni": "AVX512VNNI", "arm": "ASIMDDP", "any": None}
    artifacts: list[dict[str, Any]] = [
        {"format": "onnx", "precision": "fp32", "file": f"{name}.onnx", "cpu": cpu}
        for name, cpu in cpus.items()
    ]
    folder = written(tmp_path, {**described, **weights, "card.json": card_of(artifacts)})
    opened = {}
    for name in PROCESSORS:
        on(name)
        reranker = Reranker(folder, backend="onnx")
        assert [each.index for each in reranker.rank("a", DOCUMENTS)] == BEST
        opened[name] = load_model(reranker._load_options).way.artifact.file
    assert opened == {
        "avx512": "vnni.onnx",
        "avx2": "any.onnx",
        "arm64": "arm.onnx",
        "unknown": "any.onnx",
    }


def test_missing_files_of_a_card_are_named(
    tmp_path: Path, four: dict[str, bytes], on: Callable[[str], None]
) -> None:
    on("avx512")
    folder = written(tmp_path, four)
    (folder / "int8.onnx").unlink()
    assert Reranker(folder, backend="onnx").rank("a", DOCUMENTS).precision == "fp32"
    with pytest.raises(ModelNotFoundError, match=r"lists int8\.onnx, missing from"):
        Reranker(folder, precision="int8").warm_up()
    (folder / "fp32.onnx").unlink()
    (folder / "fp16.onnx").unlink()
    message = r"int8\.onnx and fp32\.onnx and fp16\.onnx, missing from .*get the model again"
    with pytest.raises(ModelNotFoundError, match=message):
        Reranker(folder, backend="onnx").warm_up()


def test_nan_is_computed_again_where_the_backend_has_no_float32(
    tmp_path: Path, four: dict[str, bytes], on: Callable[[str], None]
) -> None:
    on("avx512")
    folder = written(tmp_path, four)
    reranker = Reranker(folder, backend="onnx", precision="fp16", normalization="none")
    # More than fp16 has a number for.
    (huge,) = reranker.score("a", ["huge"])
    assert huge == pytest.approx(tiny_models.logit("huge"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"artifacts": None}, "'artifacts' must be list, not None"),
        ({"artifacts": ["model.onnx"]}, "expected an object for each of 'artifacts'"),
        ({"artifacts": [{"format": "onnx", "precision": "fp32"}]}, "it lacks 'file'"),
        (
            {"artifacts": [{"format": "onnx", "precision": "fp32", "file": 3}]},
            "'file' must be str, not 3",
        ),
        (
            {"artifacts": [{"format": "x", "precision": "y", "file": "z", "cpu": ["AVX2"]}]},
            "'cpu' must be str",
        ),
        ({"window": "512"}, "'window' must be int, not '512'"),
        ({"max_length": True}, "'max_length' must be int, not True"),
        ({"tolerance": None}, "'tolerance' must be int or float"),
        ({"schema": "1"}, "'schema' must be an int from 1 on, not '1'"),
        ({"schema": 0}, "'schema' must be an int from 1 on, not 0"),
        ({"estimator": "resift-nano"}, "'estimator' must be dict"),
        ({"estimator": {"model": "resift-nano"}}, "it lacks 'sha256'"),
    ],
)
def test_a_malformed_card_is_named(
    tmp_path: Path, four: dict[str, bytes], change: dict[str, Any], named: str
) -> None:
    card = {**json.loads(four["card.json"]), **change}
    folder = written(tmp_path, {**four, "card.json": json.dumps(card).encode()})
    with pytest.raises(UnsupportedModelError, match=r"card\.json is not a model card") as caught:
        Reranker(folder).warm_up()
    assert named in str(caught.value)


def test_a_bundled_model_is_shown_with_what_runs(
    capsys: pytest.CaptureFixture[str], on: Callable[[str], None]
) -> None:
    for name, precision in (("avx512", "int8"), ("unknown", "fp32")):
        on(name)
        assert main(["models", "show", "resift-small"]) == 0
        here = json.loads(capsys.readouterr().out)["here"]
        assert here["runs"][0]["precision"] == precision
        assert here["refused"] == ([NO_INT8] if name == "unknown" else [])
