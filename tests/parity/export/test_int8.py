"""Products and word embeddings in int8."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity.encoders import save_encoder, torch
from parity.export.graphs import Floats, batch, copy, kinds, onnx, run

import resift.export.command as exporting
from resift.export.int8 import Rounding, products, quantise, row_int8
from resift.export.libraries import Libraries
from resift.export.words import words_int8


def product_of(kind: str, weight: Floats) -> Any:
    """``kind(x) @ weight``."""
    info, make_node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    first = make_node(kind, ["x", "x"] if kind == "Add" else ["x"], ["tokens"])
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [first, make_node("MatMul", ["tokens", "weight"], ["y"])],
            "product",
            [info("x", onnx.TensorProto.FLOAT, ["batch", "length", len(weight)])],
            [info("y", onnx.TensorProto.FLOAT, ["batch", "length", weight.shape[1]])],
            [onnx.numpy_helper.from_array(weight, "weight")],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 23)],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    return model


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize(
    ("kind", "zero"), [("Gelu", 32), ("Relu", 0), ("Tanh", 128), ("Add", 128), ("Neg", 128)]
)
def test_the_graph_rounds_as_the_reference_does(
    kind: str, zero: int, smooth: bool, libraries: Libraries
) -> None:
    random = np.random.default_rng(1)
    weight = random.standard_normal((64, 24), dtype=np.float32)
    x = random.standard_normal((3, 5, 64), dtype=np.float32) * np.array(
        [0.0, 0.01, 1.0, 30.0, -0.7], dtype=np.float32
    ).reshape(5, 1)
    # Where GELU is lowest.
    x[:, 4] = -0.7518
    model = product_of(kind, weight)
    (product,) = products(model)
    assert product.rounding.zero == zero
    tokens = run_value(model, x)
    factors = np.exp(random.standard_normal(64)).astype(np.float32) if smooth else None
    expected = tokens @ weight
    row_int8(libraries, model, {} if factors is None else {"tokens": factors})
    assert ("Abs" in kinds(model)) is (zero == 128)
    found = run(model, {"x": x})
    flat = tokens.reshape(15, 64)
    values, scale = quantise(weight if factors is None else weight * factors[:, None])
    divided: Floats = flat if factors is None else np.divide(flat, factors, dtype=np.float32)
    emulated = product.rounding.rounded(divided) @ (values * scale)
    np.testing.assert_allclose(found.reshape(15, 24), emulated, rtol=1e-4, atol=1e-4)
    if factors is None:
        size = np.abs(tokens).max(axis=2, keepdims=True)
        assert (np.abs(found - expected) <= 0.12 * size + 0.05).all()


def run_value(model: Any, x: Floats) -> Floats:
    whole = copy(model)
    whole.graph.output[0].name = "tokens"
    return run(whole, {"x": x})


def test_gelu_has_finer_steps_than_signed_numbers() -> None:
    tokens = np.array([[-0.17, 0.0, 1.0, 5.0]], dtype=np.float32)
    steps = [Rounding(zero, 1e-9).scale(tokens).item() for zero in (128, 32, 0)]
    assert steps == pytest.approx([5 / 127, 5 / 223, 5 / 255])
    lowest = np.array([[-0.17, 0.0, 0.001]], dtype=np.float32)
    for kind in ("none", "tanh"):
        x = torch.linspace(-2, 0, 2001)
        lowest[0, 0] = torch.nn.functional.gelu(x, approximate=kind).min()
        rounded = Rounding(32, 0.17 / 32).rounded(lowest)
        assert np.abs(rounded - lowest).max() <= 0.17 / 64


@pytest.mark.parametrize("kept", [True, False])
def test_word_embeddings_are_stored_in_int8(
    kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In models as small as these, it is never negligible.
    monkeypatch.setattr(exporting, "_WORDS_SHARE", 10.0 if kept else 0.1)
    factors: dict[str, Floats] = {}
    given = []

    def recorded(libraries: Libraries, model: Any, taken: Any, **options: Any) -> Any:
        given.append(taken)
        return row_int8(libraries, model, taken, **options)

    monkeypatch.setattr(exporting, "smoothing", lambda *_, **__: factors)
    monkeypatch.setattr(exporting, "row_int8", recorded)
    card = exporting.export(save_encoder("bert", tmp_path / "source"), tmp_path / "out", "int8")
    assert card["word_embeddings"] == ("int8" if kept else "float32")
    assert len(given) == (1 if kept else 2)
    assert all(each is factors for each in given)
    model = onnx.load(tmp_path / "out/model_int8.onnx")
    tables = [
        onnx.numpy_helper.to_array(each).dtype
        for each in model.graph.initializer
        if len(each.dims) == 2 and each.dims[0] > 200 and each.dims[1] > 1
    ]
    assert tables == [np.int8 if kept else np.float32]
    assert ("words_int8" in {node.input[0] for node in model.graph.node if node.input}) is kept
    whole = onnx.load(tmp_path / "out/model.onnx")
    assert "words_int8" not in {each.name for each in whole.graph.initializer}


def test_words_are_dequantised_by_row(libraries: Libraries, bert_graph: Any) -> None:
    model = copy(bert_graph)
    assert words_int8(libraries, model)
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    (table,) = [
        onnx.numpy_helper.to_array(each)
        for each in bert_graph.graph.initializer
        if each.name.endswith("word_embeddings.weight")
    ]
    stored = weights["words_int8"] * weights["words_scale"]
    assert (np.abs(stored - table) <= np.abs(table).max(axis=1, keepdims=True) / 253).all()
    feed = batch(3, 20)
    difference = np.abs(run(model, feed) - run(bert_graph, feed)).max()
    assert 0 < difference < 0.2
    assert not words_int8(libraries, product_of("Relu", np.ones((16, 16), dtype=np.float32)))


def test_golden_pairs_allow_for_other_last_digits(tmp_path: Path) -> None:
    exporting.export(save_encoder("bert", tmp_path / "source"), tmp_path / "out", "int8")
    golden = json.loads((tmp_path / "out/golden.json").read_text(encoding="utf-8"))
    model = onnx.load(tmp_path / "out/model_int8.onnx")
    other = copy(model)
    (bias,) = [
        each for each in other.graph.initializer if each.name.endswith("embeddings.LayerNorm.bias")
    ]
    values = onnx.numpy_helper.to_array(bias)
    noise = 1e-6 * np.random.default_rng(3).standard_normal(values.shape)
    bias.CopyFrom(onnx.numpy_helper.from_array((values + noise).astype("f"), bias.name))
    feeds = [batch(1, length) for length in range(2, 48)]
    moved = [float(np.abs(run(other, feed) - run(model, feed)).max()) for feed in feeds]
    assert 1e-4 < max(moved) <= golden["tolerance"]
