"""The last layer, run for the first token alone where nothing else is read."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity.encoders import save_encoder
from parity.export.graphs import attention_lengths, batch, copy, kinds, onnx, run, traced
from parity.export.logits import engine_logits, source_logits
from parity.texts import DOCUMENTS

import resift.export.command as exporting
from resift.export import graph
from resift.export.first_token import first_token_only
from resift.export.libraries import Libraries

MEAN_POOLING = "modernbert-2"


@pytest.mark.parametrize(
    "name", ["distilbert", "electra-2", "roberta", "camembert", "ernie", "modernbert", "albert"]
)
@pytest.mark.parametrize("layers", [1, 3])
def test_the_last_layer_runs_for_the_first_token_alone(
    name: str, layers: int, libraries: Libraries, tmp_path: Path
) -> None:
    depth = {"num_hidden_layers": layers}
    if name == "distilbert":
        depth["n_layers"] = layers
    model = traced(libraries, name, tmp_path, **depth)
    whole = copy(model)
    assert first_token_only(libraries, model)
    assert attention_lengths(copy(model)) == [9] * (layers - 1) + [1]
    for kind in ("Attention", "MatMul"):
        assert kinds(model).count(kind) == kinds(whole).count(kind)
    for pairs, length in ((1, 1), (1, 30), (5, 7), (4, 48)):
        feed = batch(pairs, length)
        np.testing.assert_allclose(run(model, feed), run(whole, feed), rtol=0, atol=1e-5)


def test_heads_of_all_tokens_are_left_unchanged(libraries: Libraries, tmp_path: Path) -> None:
    model = traced(libraries, MEAN_POOLING, tmp_path)
    whole = copy(model)
    assert not first_token_only(libraries, model)
    assert model == whole
    card = exporting.export(tmp_path, tmp_path / "out")
    assert (card["attention"], card["last_layer"]) == ("fused", "all tokens")


def pool_of(model: Any) -> tuple[int, Any]:
    (found,) = [
        (at, node)
        for at, node in enumerate(model.graph.node)
        if node.op_type == "Gather" and graph.attribute(node, "axis", 0) == 1
    ]
    return found


def reads_the_second_token(model: Any) -> None:
    at, node = pool_of(model)
    index = onnx.numpy_helper.from_array(np.array(1))
    model.graph.node.insert(at, onnx.helper.make_node("Constant", [], ["second"], value=index))
    node.input[1] = "second"


def has_an_unknown_operator(model: Any) -> None:
    at, node = pool_of(model)
    model.graph.node.insert(at, onnx.helper.make_node("Round", [node.input[0]], ["round"]))
    node.input[0] = "round"


def reads_the_mean_too(model: Any) -> None:
    _, node = pool_of(model)
    model.graph.output[0].name = "both"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 2]), "axes"))
    mean = onnx.helper.make_node("ReduceMean", [node.input[0], "axes"], ["mean"], keepdims=0)
    rank = onnx.helper.make_node("Unsqueeze", ["mean", "minus"], ["column"])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1]), "minus"))
    both = onnx.helper.make_node("Add", ["logits", "column"], ["both"])
    model.graph.node.extend([mean, rank, both])


def is_causal(model: Any) -> None:
    last = [node for node in model.graph.node if node.op_type == "Attention"][-1]
    last.attribute.append(onnx.helper.make_attribute("is_causal", 1))


def norms_all_tokens_at_once(model: Any) -> None:
    last = [node for node in model.graph.node if node.op_type == "LayerNormalization"][-1]
    (axis,) = [each for each in last.attribute if each.name == "axis"]
    axis.i = 1
    for at in (1, 2):
        last.input[at] = f"wide{at}"
        wide = np.ones((7, 32), dtype=np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(wide, f"wide{at}"))


def swaps_sizes(model: Any) -> None:
    shapes = [node for node in model.graph.node if node.op_type == "Concat"]
    last = shapes[-1]
    last.input[0], last.input[1] = last.input[1], last.input[0]


@pytest.mark.parametrize(
    "change",
    [
        reads_the_second_token,
        has_an_unknown_operator,
        reads_the_mean_too,
        is_causal,
        norms_all_tokens_at_once,
        swaps_sizes,
    ],
)
def test_other_graphs_are_left_unchanged(
    change: Any, libraries: Libraries, bert_graph: Any
) -> None:
    model = copy(bert_graph)
    change(model)
    run(model, batch(7, 7))
    before = copy(model)
    assert not first_token_only(libraries, model)
    assert model == before


def test_a_wrong_last_layer_is_not_kept(
    libraries: Libraries,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def wrong(libraries: Libraries, model: Any) -> bool:
        assert first_token_only(libraries, model)
        for each in model.graph.initializer:
            if each.name.endswith("classifier.bias"):
                each.CopyFrom(onnx.numpy_helper.from_array(np.full(1, 0.5, "f"), each.name))
        return True

    source = save_encoder("bert", tmp_path / "source")
    # A file beside the graph, which must be the last graph's alone.
    monkeypatch.setattr(graph, "_MAX_INLINE", 30_000)
    right = exporting.export(source, tmp_path / "right")
    monkeypatch.setattr(exporting, "first_token_only", wrong)
    with caplog.at_level(logging.WARNING, logger="resift.export"):
        card = exporting.export(source, tmp_path / "out")
    assert (card["attention"], card["last_layer"]) == ("fused", "all tokens")
    (record,) = [each for each in caplog.records if each.name.startswith("resift.export")]
    assert "first token" in record.getMessage()
    found = engine_logits(tmp_path / "out", DOCUMENTS[:9])
    np.testing.assert_allclose(found, source_logits(source, DOCUMENTS[:9]), rtol=0, atol=1e-4)
    sizes = [(tmp_path / name / "model.onnx.data").stat().st_size for name in ("out", "right")]
    assert sizes[0] < 1.1 * sizes[1]
    assert right["last_layer"] == "first token"
