"""Reading facts off ONNX graphs without loading them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
import tiny_models
from onnx import TensorProto, helper, numpy_helper

from resift import ModelNotFoundError, Reranker, UnsupportedModelError
from resift.models.onnx_file import read_graph


def save(graph: onnx.ModelProto, path: Path) -> Path:
    path.write_bytes(graph.SerializeToString())
    return path


@pytest.mark.parametrize("location", ["../data", "/data", "sub/../../data", "link"])
def test_data_outside_of_the_folder_is_refused(tmp_path: Path, location: str) -> None:
    model = tmp_path / "model"
    if location == "/data":
        location = str(tmp_path / "data")
    tiny_models.split(model, location)
    (model / "data").rename(tmp_path / "data")
    (model / "sub").mkdir()
    (model / "link").symlink_to(tmp_path / "data")
    with pytest.raises(UnsupportedModelError, match="out of the model's folder"):
        Reranker(model).warm_up()


def test_data_in_the_folder_is_read(tmp_path: Path) -> None:
    tiny_models.split(tmp_path / "model", "data")
    assert Reranker(tmp_path / "model").rank("a", ["bad", "good"])[0].index == 1
    (tmp_path / "model/data").unlink()
    with pytest.raises(ModelNotFoundError, match="data is missing"):
        Reranker(tmp_path / "model").warm_up()


def test_links_that_leave_the_folder_are_refused(tiny: Path, tmp_path: Path) -> None:
    for name in ("config.json", "tokenizer.json", "model.onnx"):
        model = Path(shutil.copytree(tiny, tmp_path / name))
        (model / name).unlink()
        (model / name).symlink_to(tiny / name)
        with pytest.raises(UnsupportedModelError, match="out of the model's folder"):
            Reranker(model).warm_up()
    # The folder itself may be a link, and links may lead to its own files.
    inner = Path(shutil.copytree(tiny, tmp_path / "inner"))
    (inner / "model.onnx").rename(inner / "weights")
    (inner / "model.onnx").symlink_to("weights")
    (tmp_path / "link").symlink_to(inner)
    Reranker(tmp_path / "link").warm_up()


def tensor(location: str) -> TensorProto:
    made = numpy_helper.from_array(np.zeros(100, dtype=np.float32), location)
    onnx.external_data_helper.set_external_data(made, location)
    made.ClearField("raw_data")
    return made


def test_data_is_found_wherever_a_graph_may_name_it(tmp_path: Path) -> None:
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=tensor("in_a_constant"))],
        "inner",
        [],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, [100])],
        [tensor("in_a_branch")],
    )
    sparse = helper.make_sparse_tensor(tensor("in_values"), tensor("in_indices"), [100])
    graph = helper.make_graph(
        [
            helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner),
            helper.make_node("Own", [], ["z"], tensors=[tensor("in_a_list")]),
        ],
        "outer",
        [helper.make_tensor_value_info("x", TensorProto.BOOL, [])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [100])],
        [tensor("in_weights")],
        sparse_initializer=[sparse],
    )
    function = helper.make_function(
        "domain",
        "Own",
        [],
        ["z"],
        [helper.make_node("Constant", [], ["z"], value=tensor("in_a_function"))],
        [helper.make_opsetid("", 17)],
    )
    model = helper.make_model(graph, functions=[function])
    found = read_graph(save(model, tmp_path / "model.onnx"))
    assert found.data_files == {
        "in_a_constant",
        "in_a_branch",
        "in_values",
        "in_indices",
        "in_a_list",
        "in_weights",
        "in_a_function",
    }
    assert not found.mixes_rows


def test_a_file_that_is_no_graph_is_refused(tiny: Path, tmp_path: Path) -> None:
    whole = (tiny / "model.onnx").read_bytes()
    nested = b""
    for _ in range(60):
        # Graphs in attributes of nodes.
        for number in (6, 5, 1):
            size = len(nested)
            nested = bytes([number << 3 | 2, size & 0x7F | 0x80, size >> 7]) + nested
    nested = bytes([7 << 3 | 2, len(nested) & 0x7F | 0x80, len(nested) >> 7]) + nested
    path = tmp_path / "model.onnx"
    for content in (b"", b"\xff" * 20, b"\x07", whole[:-1], b"\x0a\x7f", nested):
        path.write_bytes(content)
        with pytest.raises(UnsupportedModelError, match=r"model\.onnx is not an ONNX graph"):
            read_graph(path)


def mixing(folder: Path) -> Path:
    """A model whose weights are scaled by what else is in the batch, as in dynamic int8."""
    tiny_models.build(folder)
    model = onnx.load(folder / "model.onnx")
    nodes = model.graph.node
    (last,) = (node for node in nodes if "logits" in node.output)
    last.output[:] = ["exact"]
    nodes.extend(
        [
            helper.make_node("DynamicQuantizeLinear", ["exact"], ["q", "scale", "zero"]),
            helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["logits"]),
        ]
    )
    onnx.checker.check_model(model)
    onnx.save(model, folder / "model.onnx")
    return folder


def test_a_graph_that_mixes_rows_gets_one_pair_at_a_time(tmp_path: Path) -> None:
    reranker = Reranker(mixing(tmp_path))
    alone = reranker.rank("a", ["a w1 w2"])[0].logit
    documents = ["good good", "a w1 w2", "bad", "w9 w9 w9"]
    ranking = reranker.rank("a", documents)
    assert {each.index: each.logit for each in ranking}[1] == alone
    assert ranking.counts.tokens == ranking.counts.padded_tokens


def test_a_lone_graph_is_found_by_any_name(tmp_path: Path) -> None:
    folder = mixing(tmp_path)
    (folder / "model.onnx").rename(folder / "flashrank_Q.onnx")
    assert Reranker(folder).rank("a", ["good"]).precision == "int8-dynamic"
    shutil.copy(folder / "flashrank_Q.onnx", folder / "other.onnx")
    with pytest.raises(Exception, match="no weights that onnx"):
        Reranker(folder).warm_up()


@pytest.mark.skipif(os.name != "posix", reason="a device to read from")
def test_no_device_is_read(tmp_path: Path) -> None:
    tiny_models.split(tmp_path / "model", os.path.relpath("/dev/zero", tmp_path / "model"))
    with pytest.raises((UnsupportedModelError, ModelNotFoundError)):
        Reranker(tmp_path / "model").warm_up()
