"""Properties of every backend: an entry in ``BACKENDS`` enrols it here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from installed import require
from tiny_models import logit

from resift import BackendUnavailableError, NonFiniteScoreError, Reranker, UnsupportedModelError
from resift.backends.choice import backend_class, having_code, installed_backends
from resift.backends.protocol import Backend
from resift.backends.table import BACKENDS
from resift.testing import QUERY, TEXTS
from resift.text.batch import Batch


@pytest.fixture(params=list(BACKENDS))
def name(request: pytest.FixtureRequest) -> str:
    backend: str = request.param
    require(*BACKENDS[backend].requires)
    try:
        installed_backends(backend)
    except BackendUnavailableError as error:
        pytest.skip(str(error))
    return backend


@pytest.fixture
def backend(graph_backend: str, tiny: Path) -> Backend:
    return open_backend(graph_backend, tiny / "model.onnx")


def open_backend(name: str, path: Path, device: str | None = None) -> Backend:
    return backend_class(name)(path, device=device, precision="fp32", threads=2)


def batch(rows: list[list[str]], length: int | None = None) -> Batch:
    """Documents alone, which is what the tiny models count."""
    shape = (len(rows), length or max(map(len, rows)))
    ids, mask = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    for row, words in enumerate(rows):
        ids[row, : len(words)] = [tiny_models.IDS[word] for word in words]
        mask[row, : len(words)] = 1
    return Batch(ids, mask, mask)


def test_forward_gives_float32(backend: Backend) -> None:
    logits = backend.forward(batch([["good"], ["a", "b", "bad"]]))
    assert logits.shape == (2, 1)
    assert logits.dtype == np.dtype(np.float32)
    assert logits[:, 0].tolist() == pytest.approx([2.0, -2 / 3])


words = st.lists(st.sampled_from(["a", "b", "good", "bad", "w3"]), min_size=1, max_size=12)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=st.lists(words, min_size=1, max_size=8), padding=st.integers(0, 40))
def test_padding_and_neighbours_change_nothing(
    backend: Backend, rows: list[list[str]], padding: int
) -> None:
    together = backend.forward(batch(rows, max(map(len, rows)) + padding))[:, 0]
    alone = [backend.forward(batch([row]))[0, 0] for row in rows]
    assert together.tolist() == pytest.approx(alone, abs=1e-5)


def test_threads_share_a_backend(backend: Backend) -> None:
    batches = [batch([["good"] * n, ["bad"]]) for n in range(1, 40)]
    expected = [backend.forward(each).tolist() for each in batches]
    with ThreadPoolExecutor(8) as pool:
        assert [each.tolist() for each in pool.map(backend.forward, batches)] == expected


@pytest.mark.parametrize("labels", [1, 2])
@pytest.mark.parametrize("token_types", [True, False])
def test_heads_of_one_and_two_labels_and_optional_inputs_run(
    graph_backend: str, tmp_path: Path, labels: int, token_types: bool
) -> None:
    model = tiny_models.build(tmp_path, labels=labels, token_types=token_types)
    documents = ["good", "bad a", "b"]
    scores = Reranker(model, backend=graph_backend).score("a", documents, normalization="none")
    if token_types:
        assert scores == pytest.approx([logit(each) for each in documents], abs=1e-5)
    assert scores[0] > scores[2] > scores[1]


def test_nan_is_an_error(graph_backend: str, tiny: Path) -> None:
    with pytest.raises(NonFiniteScoreError, match=graph_backend):
        Reranker(tiny, backend=graph_backend).rank("a", ["good", "nan"])


def test_a_damaged_file_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a graph")
    with pytest.raises(UnsupportedModelError, match=r"model\.onnx"):
        open_backend(name, path)


def test_an_unavailable_device_is_refused(name: str, tiny: Path) -> None:
    with pytest.raises(BackendUnavailableError, match="abacus"):
        open_backend(name, tiny / "model.onnx", "abacus")


def test_backends_agree_on_the_bundled_model(name: str) -> None:
    if BACKENDS[name].architectures:
        pytest.skip("it runs other architectures alone")
    reference = Reranker(backend="onnx", precision="fp32").score(QUERY, TEXTS, normalization="none")
    scores = Reranker(backend=name, precision="fp32").score(QUERY, TEXTS, normalization="none")
    assert scores == pytest.approx(reference, abs=1e-4)


def test_a_backend_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resift.backends.choice.find_spec", lambda _: None)
    with pytest.raises(BackendUnavailableError, match="pip install onnxruntime"):
        Reranker(backend="onnx")
    with pytest.raises(BackendUnavailableError, match="onnxruntime"):
        Reranker()


def test_auto_takes_what_runs_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resift.backends.choice.find_spec", lambda name: name)
    monkeypatch.setattr("resift.backends.choice.version", lambda _: "5.23.0")
    with_torch = ["onnx", "openvino", "torch"]
    assert installed_backends("auto") == with_torch
    assert installed_backends("auto", "cpu") == with_torch
    assert installed_backends("auto", "cuda:1") == ["torch"]
    monkeypatch.setattr("resift.backends.choice.version", lambda _: "4.47.1")
    assert installed_backends("auto") == ["onnx", "openvino", "flag_embedding"]
    assert installed_backends("auto", "cuda") == ["flag_embedding"]
    with pytest.raises(BackendUnavailableError, match=r"'abacus'.*cuda"):
        Reranker(device="abacus")
    monkeypatch.setattr(
        "resift.backends.choice.find_spec", lambda name: None if name == "transformers" else name
    )
    with pytest.raises(BackendUnavailableError, match=r"cuda.*pip install resift\[torch\]"):
        Reranker(device="cuda")


@pytest.mark.parametrize("found", ["5.23.0", "4.48.0rc1", "4.46.3", "4.5", ""])
def test_a_backend_says_which_versions_it_needs(
    monkeypatch: pytest.MonkeyPatch, found: str
) -> None:
    def version(_: str) -> str:
        if not found:
            raise PackageNotFoundError
        return found

    monkeypatch.setattr("resift.backends.choice.find_spec", lambda name: name)
    monkeypatch.setattr("resift.backends.choice.version", version)
    message = (
        rf"transformers>=4\.47,<4\.48, but {found or 'none'} is installed; .*"
        r"pip install resift\[flag-embedding\]"
    )
    with pytest.raises(BackendUnavailableError, match=message):
        Reranker(backend="flag_embedding")
    monkeypatch.setattr("resift.backends.choice.version", lambda _: "4.47.1")
    assert installed_backends("flag_embedding") == ["flag_embedding"]
    with pytest.raises(BackendUnavailableError, match=r"transformers>=5\.0, but 4\.47\.1"):
        Reranker(backend="torch")
    # What it needs is installed nowhere.
    monkeypatch.setattr("resift.backends.choice.find_spec", lambda _: None)
    with pytest.raises(BackendUnavailableError, match=r"FlagEmbedding.*\[flag-embedding\]"):
        Reranker(backend="flag_embedding")


@pytest.mark.parametrize("architecture", BACKENDS["flag_embedding"].architectures)
def test_the_only_backend_with_a_models_code_is_named(
    monkeypatch: pytest.MonkeyPatch, tiny: Path, tmp_path: Path, architecture: str
) -> None:
    model = Path(shutil.copytree(tiny, tmp_path / "model"))
    (model / "model.onnx").rename(model / "model.safetensors")
    config = {"architectures": [architecture], "max_position_embeddings": 64}
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    monkeypatch.setattr("resift.backends.choice.find_spec", lambda name: name == "onnxruntime")
    message = rf"{architecture}.*FlagEmbedding.*pip install resift\[flag-embedding\]"
    with pytest.raises(BackendUnavailableError, match=message):
        Reranker(model).warm_up()
    # Listed ones, before anything is fetched.
    for name in ("bge-reranker-v2-minicpm-layerwise", "bge-reranker-v2.5-gemma2-lightweight"):
        with pytest.raises(BackendUnavailableError, match=r"install resift\[flag-embedding\]"):
            Reranker(name, cache_dir=tmp_path, offline=True).warm_up()
    own = having_code(["onnx", "torch", "flag_embedding"], config, "m")
    assert own == ["flag_embedding"]
    others = having_code(["onnx", "torch", "flag_embedding"], {"architectures": ["T5Model"]}, "m")
    assert others == ["onnx", "torch"]


def test_a_language_model_needs_a_backend_for_it(graph_backend: str, tiny: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=r"model\.onnx.*language-modelling"):
        backend_class(graph_backend)(
            tiny / "model.onnx", device=None, precision="fp32", threads=1, vocabulary_ids=[1]
        )


def test_openvino_gets_lengths_that_are_multiples_within_the_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = pytest.importorskip("resift.backends.openvino")
    forward, lengths = module.OpenVinoBackend.forward, []

    def record(self: Any, batch: Batch) -> Any:
        lengths.append(batch.input_ids.shape[1])
        return forward(self, batch)

    monkeypatch.setattr(module.OpenVinoBackend, "forward", record)
    model = tiny_models.build(tmp_path, positions=24)
    reranker = Reranker(model, backend="openvino", max_batch_tokens=1)
    ranking = reranker.rank("a", ["good", "b " * 14, "bad " * 30])
    assert sorted(lengths) == [16, 24, 24]
    assert ranking.counts.padded_tokens == 64


def test_importing_openvino_leaves_its_telemetry_out() -> None:
    # On a build server it sends nothing anyway.
    elsewhere = {name: value for name, value in os.environ.items() if name != "CI"}
    program = (
        "import sys, resift.backends.openvino;"
        "print(sorted(name for name in sys.modules if name.startswith('openvino_telemetry')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=elsewhere,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    assert done.stdout.strip() == "[]"
