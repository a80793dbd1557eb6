"""Graphs that give other logits: another is written, or none."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity.encoders import LAYERS
from parity.export.graphs import kinds, onnx
from parity.export.logits import engine_logits, source_logits
from parity.texts import DOCUMENTS

import resift.export.command as exporting
from resift import UnsupportedModelError
from resift.export import graph


@pytest.mark.parametrize("reason", ["uncounted", "different", "maskless"])
def test_attention_that_is_not_fused_is_reported(
    reason: str,
    bert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if reason == "uncounted":
        monkeypatch.setattr(exporting, "count_attention", lambda *_: LAYERS - 1)
    elif reason == "different":
        monkeypatch.setattr(exporting, "_FUSED_FAULT", -1.0)
    else:
        monkeypatch.setattr(exporting, "trace", without_masks)
    with caplog.at_level(logging.WARNING, logger="resift.export"):
        card = exporting.export(bert, tmp_path / "out")
    assert card["attention"] == "plain"
    *others, record = [each for each in caplog.records if each.name.startswith("resift.export")]
    # The last layer for the first token alone is given up first.
    assert len(others) == (reason == "different")
    assert "plain" in record.getMessage()
    assert "Attention" not in kinds(onnx.load(tmp_path / "out/model.onnx"))
    found = engine_logits(tmp_path / "out", DOCUMENTS[:9])
    np.testing.assert_allclose(found, source_logits(bert, DOCUMENTS[:9]), rtol=0, atol=1e-4)


def without_masks(*arguments: Any, **options: Any) -> Any:
    model = graph.trace(*arguments, **options)
    for node in model.graph.node:
        if node.op_type == "Attention":
            del node.input[3:]
    return model


def test_a_wrong_graph_is_not_written(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*arguments: Any, **options: Any) -> Any:
        model = graph.trace(*arguments, **options)
        (bias,) = [
            each for each in model.graph.initializer if each.name.endswith("classifier.bias")
        ]
        bias.CopyFrom(onnx.numpy_helper.from_array(np.full(1, 0.5, np.float32), bias.name))
        return model

    monkeypatch.setattr(exporting, "trace", damaged)
    with pytest.raises(UnsupportedModelError, match="more than rounding"):
        exporting.export(bert, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_one_scale_for_a_batch_is_refused(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_batch(_: Any, model: Any, __: Any, *, narrow: bool) -> Any:
        from onnxruntime.quantization import quantize_dynamic

        onnx.save(model, tmp_path / "plain.onnx")
        quantize_dynamic(
            tmp_path / "plain.onnx", tmp_path / "int8.onnx", op_types_to_quantize=["MatMul"]
        )
        return onnx.load(tmp_path / "int8.onnx")

    monkeypatch.setattr(exporting, "row_int8", by_batch)
    with pytest.raises(UnsupportedModelError, match="neighbours"):
        exporting.export(bert, tmp_path / "out", "int8")
    assert not (tmp_path / "out").exists()
