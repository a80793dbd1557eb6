"""Processors that an export is for, exported on any."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from parity.export.graphs import onnx
from parity.export.logits import engine_logits, source_logits
from parity.texts import DOCUMENTS, QUERY

import resift.export.command as exporting
from resift import Reranker
from resift.cli.main import main
from resift.export.int8 import pair_sums


@pytest.mark.parametrize(
    ("target", "stored"),
    [("any", "int8-narrow"), ("avx2", "int8-narrow"), ("avx512-vnni", "int8"), ("arm64", "int8")],
)
@pytest.mark.parametrize("name", ["avx512", "avx2", "arm64"])
def test_every_target_is_exported_on_every_processor(
    bert: Path,
    tmp_path: Path,
    on: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
    name: str,
    target: str,
    stored: str,
) -> None:
    on(name)
    card = exporting.export(bert, tmp_path / "out", "int8", target=target)
    assert [each["precision"] for each in card["artifacts"]] == [stored, "fp32"]
    written = (tmp_path / "out/card.json").read_text(encoding="utf-8")
    assert json.loads(written) == card
    assert card["target"] == target
    # On AVX2, weights for others are run in a way that is right and slow.
    slowly = name == "avx2" and stored == "int8"
    assert ("slower, exact" in card["verified"]) is slowly
    assert ("slower, exact" in caplog.text) is slowly
    graph = onnx.load(tmp_path / "out/model_int8.onnx").graph
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    products = [each for each in graph.node if each.op_type == "MatMulIntegerToFloat"]
    largest = max(pair_sums(weights[each.input[1]]).max() for each in products)
    assert bool(largest <= 128) is (stored == "int8-narrow")
    documents = DOCUMENTS[:20]
    found = engine_logits(tmp_path / "out", documents)
    assert np.abs(found - source_logits(bert, documents)).max() <= card["tolerance"]
    assert Reranker(tmp_path / "out").rank(QUERY, documents).precision == stored


def test_the_target_auto_is_this_processor(
    bert: Path, tmp_path: Path, on: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    for name, stored in (("avx512", "int8"), ("avx2", "int8-narrow")):
        on(name)
        assert main(["export", str(bert), str(tmp_path / name), "--precision", "int8"]) == 0
        assert f": {stored}, attention" in capsys.readouterr().out
    assert main(["export", str(bert), str(tmp_path / "x"), "--target", "sparc"]) == 2
    assert "target must be one of auto, any, avx2" in capsys.readouterr().err
