"""``resift export --target triton``: the repository's files."""

from __future__ import annotations

import ast
import json
import logging
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_models
from clients.environments import python_of
from packages import BUNDLED

from resift import Reranker
from resift.cli.main import main
from resift.export import export_triton

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of a bundled model."""
    out = tmp_path_factory.mktemp("repository") / "out"
    assert main(["export", "resift-nano", str(out), "--target", "triton"]) == 0
    return out


def parsed(*configs: Path) -> list[dict[str, Any]]:
    """Configurations as Triton reads them."""
    python = python_of("triton")
    if python is None:
        reason = "no environment .venv-clients-triton: python dev.py test"
        if os.environ.get("RESIFT_TEST_CLIENTS") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    done = subprocess.run(
        [python, HERE / "parse.py", *configs], capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def contents(folder: Path) -> dict[str, bytes]:
    files = (each for each in folder.rglob("*") if each.is_file())
    return {each.relative_to(folder).as_posix(): each.read_bytes() for each in files}


def test_the_repository_has_the_model_twice_and_says_how_to_start_it(written: Path) -> None:
    found = contents(written)
    nano = contents(BUNDLED / "resift-nano")
    for name, content in nano.items():
        assert found[f"resift/1/model/{name}"] == content
    for name in ("model.onnx", "model.onnx.data"):
        assert found[f"resift_onnx/1/{name}"] == nano[name]
    for folder in ("resift", "resift_onnx"):
        assert found[f"{folder}/LICENSE"] == nano["LICENSE"]
        assert found[f"{folder}/card.json"] == nano["card.json"]
    # Triton takes every folder for a model.
    assert {each.name for each in written.iterdir()} == {"README.md", "resift", "resift_onnx"}
    readme = found["README.md"].decode()
    for words in ("# resift-nano for Triton", "Apache-2.0", "24.11", "25.09", "resift=="):
        assert words in readme
    assert "$" not in readme.replace("$PWD", "")
    ranking = Reranker(written / "resift/1/model", offline=True).rank("q", ["a", "b"])
    assert ranking[0].logit == Reranker("resift-nano").rank("q", ["a", "b"])[0].logit


def test_the_same_model_gives_the_same_bytes(written: Path, tmp_path: Path) -> None:
    export_triton("resift-nano", tmp_path / "again")
    assert contents(tmp_path / "again") == contents(written)


def test_triton_reads_the_configuration(written: Path) -> None:
    texts, graph = parsed(written / "resift/config.pbtxt", written / "resift_onnx/config.pbtxt")
    policy = {
        "max_queue_size": 64,
        "default_timeout_microseconds": "5000000",
        "allow_timeout_override": True,
    }
    assert texts == {
        "name": "resift",
        "backend": "python",
        "max_batch_size": 8,
        "input": [
            {"name": "query", "data_type": "TYPE_STRING", "dims": ["1"]},
            {
                "name": "texts",
                "data_type": "TYPE_STRING",
                "dims": ["-1"],
                "allow_ragged_batch": True,
            },
        ],
        "output": [
            {"name": name, "data_type": "TYPE_FP32", "dims": ["-1"]}
            for name in ("scores", "logits")
        ],
        # With a queue policy and a single one, requests may wait for half a second beside work.
        "instance_group": [{"count": 2, "kind": "KIND_CPU"}],
        # REJECT is what protobuf leaves out.
        "dynamic_batching": {"default_queue_policy": policy},
        "parameters": {
            "model": {"string_value": "resift-nano"},
            "revision": {"string_value": Reranker("resift-nano").rank("q", ["a"]).revision},
            "max_documents": {"string_value": "1000"},
        },
    }
    assert graph["backend"] == "onnxruntime"
    assert graph["instance_group"] == [{"count": 1, "kind": "KIND_CPU"}]
    assert graph["dynamic_batching"] == {}
    assert graph["input"] == [
        {"name": name, "data_type": "TYPE_INT64", "dims": ["-1"]}
        for name in ("input_ids", "attention_mask", "token_type_ids")
    ]
    assert graph["output"] == [{"name": "logits", "data_type": "TYPE_FP32", "dims": ["1"]}]


def test_every_variant_is_a_configuration(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # Without the accent where files can't have one.
    odd = 'a "tiny" modèl\\e'.encode(sys.getfilesystemencoding(), "ignore")
    called = odd.decode(sys.getfilesystemencoding())
    tiny = tiny_models.build(tmp_path / called, labels=2, token_types=False)
    mixing = _mixing(tmp_path / "mixing")
    flat = _flat(tmp_path / "flat")
    export_triton(tiny, tmp_path / "tiny")
    export_triton(mixing, tmp_path / "mixed", precision="int8-dynamic")
    export_triton(flat, tmp_path / "flattened")
    export_triton("resift-nano", tmp_path / "narrow", precision="int8", threads=3)
    with caplog.at_level(logging.WARNING, "resift"):
        export_triton("resift-nano", tmp_path / "gpu", precision="fp16", gpu=True)
    assert "not tested, as nothing here runs it" in caplog.text
    names = ("tiny", "mixed", "flattened", "narrow", "gpu")
    read = parsed(
        *(
            tmp_path / name / model / "config.pbtxt"
            for name in names
            for model in ("resift", "resift_onnx")
        )
    )
    texts, graphs = (dict(zip(names, read[start::2], strict=True)) for start in (0, 1))
    said = {name: each["parameters"] for name, each in texts.items()}
    assert said["tiny"]["model"]["string_value"] == called
    assert [each["name"] for each in graphs["tiny"]["input"]] == ["input_ids", "attention_mask"]
    assert graphs["tiny"]["output"][0]["dims"] == ["2"]
    # A batch would change its numbers.
    assert graphs["mixed"]["max_batch_size"] == 1
    assert "dynamic_batching" not in graphs["mixed"]
    assert graphs["flattened"]["output"][0]["reshape"] == {}
    assert said["narrow"]["precision"]["string_value"] == "int8"
    assert said["narrow"]["threads"]["string_value"] == "3"
    assert graphs["narrow"]["parameters"] == {"intra_op_thread_count": {"string_value": "3"}}
    narrow = BUNDLED / "resift-nano/model_int8_narrow.onnx"
    assert (tmp_path / "narrow/resift_onnx/1/model.onnx").read_bytes() == narrow.read_bytes()
    for model in (texts["gpu"], graphs["gpu"]):
        assert model["instance_group"][0]["kind"] == "KIND_GPU"
    readme = (tmp_path / "gpu/README.md").read_text(encoding="utf-8")
    assert "resift[torch]==" in readme
    assert "--gpus all" in readme


def _mixing(folder: Path) -> Path:
    """A model whose rows share one scale."""
    graph = onnx.load(tiny_models.build(folder) / "model.onnx")
    node = onnx.helper.make_node("DynamicQuantizeLinear", ["table"], ["q", "scale", "zero"])
    graph.graph.node.append(node)
    onnx.save(graph, folder / "model_quantized.onnx")
    (folder / "model.onnx").unlink()
    return folder


def _flat(folder: Path) -> Path:
    """A graph whose output has no second dimension."""
    graph = onnx.load(tiny_models.build(folder) / "model.onnx")
    (output,) = graph.graph.output
    name, output.name = output.name, "flat"
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), "axes"))
    graph.graph.node.append(onnx.helper.make_node("Squeeze", [name, "axes"], ["flat"]))
    del output.type.tensor_type.shape.dim[1]
    onnx.save(graph, folder / "model.onnx")
    return folder


def test_weights_beside_a_graph_keep_the_name_that_it_has_for_them(tmp_path: Path) -> None:
    model = tiny_models.split(tmp_path / "split", "data")
    export_triton(model, tmp_path / "out")
    for folder in ("resift/1/model", "resift_onnx/1"):
        assert (tmp_path / "out" / folder / "data").read_bytes() == (model / "data").read_bytes()


def test_a_licence_goes_along_under_any_name(tmp_path: Path) -> None:
    model = tiny_models.build(tmp_path / "tiny")
    (model / "LICENCE.txt").write_text("Ask us.", encoding="utf-8")
    export_triton(model, tmp_path / "out")
    assert (tmp_path / "out/resift/LICENCE.txt").read_text(encoding="utf-8") == "Ask us."
    readme = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert "Its card names no licence" in readme
    assert str(tmp_path) not in readme


def test_a_graph_that_is_there_needs_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "for each in ('torch', 'transformers', 'onnx'): sys.modules[each] = None\n"
        "from resift.cli.main import main\n"
        f"sys.exit(main(['export', 'resift-nano', {str(tmp_path / 'out')!r}, "
        "'--target', 'triton']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "resift-nano as resift; its graph in fp32 as resift_onnx" in done.stdout


def test_the_model_imports_what_is_public_alone(written: Path) -> None:
    source = (written / "resift/1/model.py").read_text(encoding="utf-8")
    nodes = [each for each in ast.walk(ast.parse(source)) if isinstance(each, ast.ImportFrom)]
    ours = [each.module for each in nodes if (each.module or "").startswith("resift")]
    assert ours == ["resift"]
    # What the repository's README names is what it takes.
    readme = (written / "README.md").read_text(encoding="utf-8")
    section = readme.partition("## Parameters")[2].partition("\n## ")[0]
    options = ast.literal_eval(
        re.search(r"_OPTIONS[^{]*(\{.*?\n\})", source, re.DOTALL)[1]  # type: ignore[index]
        .replace(": str", ": 0")
        .replace(": int", ": 0")
    )
    assert options.keys() <= set(re.findall(r"`(\w+)`", section))
