"""The self-test at load, and what runs in place of a way that fails it."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_models
import tiny_products
from installed import require
from onnx.printer import to_text
from onnx.reference import ReferenceEvaluator

from resift import (
    BackendUnavailableError,
    Reranker,
    SelfTestError,
    UnsupportedModelError,
    machine,
)
from resift.backends import onnx as onnx_backend
from resift.backends.choice import lacking
from resift.export.int8 import quantise

TEXTS = ["good", "bad a", "b"]
RIGHT = [tiny_models.logit(text) for text in TEXTS]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """``model_int8.onnx`` computes something else than ``model.onnx`` and the golden pairs."""
    folder = tiny_models.build(tmp_path / "model")
    # Without token types, it counts the query too.
    other = tiny_models.build(tmp_path / "other", token_types=False)
    (folder / "model_int8.onnx").write_bytes((other / "model.onnx").read_bytes())
    write(folder, ["int8", "fp32"], golden="int8")
    return folder


def write(folder: Path, precisions: list[str], golden: str, **changes: Any) -> None:
    names = {"int8": "model_int8.onnx", "fp32": "model.onnx"}
    digests = {
        name: sha256((folder / file).read_bytes()).hexdigest() for name, file in names.items()
    }
    card = {
        "max_length": 32,
        "window": 32,
        "tolerance": 0.01,
        "artifacts": [
            {"format": "onnx", "precision": each, "file": names[each], "sha256": digests[each]}
            for each in precisions
        ],
    }
    pairs = [
        {"query": "a", "document": text, "logit": logit}
        for text, logit in zip(TEXTS, RIGHT, strict=True)
    ]
    content = {"model_sha256": digests[golden], "tolerance": 1e-4, "pairs": pairs, **changes}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    (folder / "golden.json").write_text(json.dumps(content), encoding="utf-8")


def shift_golden(folder: Path, by: float) -> None:
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    for pair in golden["pairs"]:
        pair["logit"] += by
    (folder / "golden.json").write_text(json.dumps(golden), encoding="utf-8")


def test_other_weights_run_where_the_preferred_ones_fail(
    model: Path, on: Callable[[str], None], caplog: pytest.LogCaptureFixture
) -> None:
    on("avx512")
    with caplog.at_level(logging.WARNING, "resift"):
        ranking = Reranker(model, backend="onnx").rank("a", TEXTS)
    assert (ranking.status, ranking.precision) == ("fallback", "fp32")
    assert [each.logit for each in ranking] == pytest.approx(sorted(RIGHT, reverse=True))
    assert "in int8 on onnx doesn't compute" in caplog.text


def test_weights_that_pass_have_status_complete(model: Path) -> None:
    write(model, ["fp32", "int8"], golden="fp32")
    ranking = Reranker(model, backend="onnx").rank("a", TEXTS)
    assert (ranking.status, ranking.precision) == ("complete", "fp32")


def test_a_requested_precision_does_not_fall_back(model: Path, on: Callable[[str], None]) -> None:
    on("avx512")
    with pytest.raises(SelfTestError, match="golden pairs"):
        Reranker(model, precision="int8").warm_up()


def test_other_weights_have_the_cards_tolerance(model: Path, on: Callable[[str], None]) -> None:
    on("avx512")
    shift_golden(model, 0.009)
    assert Reranker(model, backend="onnx").rank("a", TEXTS).precision == "fp32"
    shift_golden(model, 0.002)
    with pytest.raises(UnsupportedModelError, match=r"in int8 .*; .* in fp32 "):
        Reranker(model, backend="onnx").warm_up()


@pytest.mark.parametrize("largest", [64, 127])
def test_the_probe_of_int8_products_is_reproducible(largest: int) -> None:
    path = Path(onnx_backend.__file__).with_name(f"int8_products_{largest}.onnx")
    found, expected = onnx.load(path), tiny_products.build(largest)
    assert to_text(found.graph) == to_text(expected.graph)
    assert list(found.graph.initializer) == list(expected.graph.initializer)
    tokens = np.full((tiny_products.SIZE,) * 2, 255, dtype=np.uint8)
    sums: Any = ReferenceEvaluator(found).run(None, {"tokens": tokens})
    assert (sums[0] == 127 * largest * tiny_products.SIZE).all()


def test_exported_weights_are_what_the_probe_asks_about() -> None:
    weight = np.random.default_rng(0).normal(size=(64, 256)).astype(np.float32)
    rounded, _ = quantise(weight)
    assert (np.abs(rounded.astype(int)).max(axis=0) == 127).all()
    # Both ends: int8 has one number more below zero.
    assert (rounded.min(), rounded.max()) == (-127, 127)


class _Session:
    """Sums of two products as a processor gives them that cuts them off at ``most``."""

    def __init__(self, path: Path, most: int) -> None:
        self._weight, self._most = int(path.stem.rpartition("_")[2]), most

    def get_inputs(self) -> list[Any]:
        return [SimpleNamespace(name="tokens", shape=[tiny_products.SIZE] * 2)]

    def run(self, _: None, feed: dict[str, Any]) -> list[Any]:
        (tokens,) = feed.values()
        pair = min(2 * int(tokens.max()) * self._weight, self._most) - 2 * 128 * self._weight
        return [np.full(tokens.shape, tokens.shape[1] // 2 * pair)]


def be_a_processor_that_adds(
    monkeypatch: pytest.MonkeyPatch, most: int, most_if_exact: int
) -> None:
    """Make the probes see such a processor; models still run on the real one."""
    real = onnx_backend.open_session

    def opened(path: Path, *, exact: bool = False) -> Any:
        if path.stem.startswith("int8_products"):
            return _Session(path, most_if_exact if exact else most)
        return real(path, exact=exact)

    monkeypatch.setattr(onnx_backend, "open_session", opened)
    monkeypatch.setattr(onnx_backend, "_is_exact", onnx_backend._is_exact.__wrapped__)
    monkeypatch.setattr(onnx_backend, "int8_saturates", onnx_backend.int8_saturates.__wrapped__)
    monkeypatch.setattr(machine, "processor", machine.processor.__wrapped__)


WIDE, NARROW, WRONG = 2**31, 2**15 - 1, 2**14


@pytest.mark.parametrize(
    ("most", "if_exact", "saturates", "runs"),
    [
        (WIDE, WIDE, False, ["int8", "int8-narrow"]),
        # 255 × 127 + 255 × 127 is cut off, and 255 × 64 + 255 × 64 isn't.
        (NARROW, WIDE, True, ["int8", "int8-narrow"]),
        (NARROW, NARROW, True, ["int8-narrow"]),
        (WRONG, WRONG, True, []),
    ],
)
def test_the_probe_detects_saturated_sums(
    monkeypatch: pytest.MonkeyPatch, most: int, if_exact: int, saturates: bool, runs: list[str]
) -> None:
    be_a_processor_that_adds(monkeypatch, most, if_exact)
    processor = machine.processor()
    assert processor.int8_saturates() is saturates
    kinds = ("int8", "int8-narrow")
    assert [each for each in kinds if processor.lacking("onnx", each) is None] == runs


@pytest.mark.parametrize(("most", "asked"), [(WIDE, False), (NARROW, True)])
def test_int8_is_exact_where_it_saturates(
    model: Path, monkeypatch: pytest.MonkeyPatch, most: int, asked: bool
) -> None:
    (model / "model_int8.onnx").write_bytes((model / "model.onnx").read_bytes())
    write(model, ["int8", "fp32"], golden="int8")
    be_a_processor_that_adds(monkeypatch, most, WIDE)
    exact: list[bool] = []
    opened = onnx_backend.open_session

    def recorded(path: Path, **options: bool) -> Any:
        if path.parent == model:
            exact.append(options["exact"])
        return opened(path, **options)

    monkeypatch.setattr(onnx_backend, "open_session", recorded)
    assert Reranker(model).rank("a", TEXTS).precision == "int8"
    assert exact.pop() is asked
    Reranker(model, precision="fp32").warm_up()
    assert exact.pop() is False


def test_a_processor_that_gets_int8_wrong_runs_float32(
    model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    be_a_processor_that_adds(monkeypatch, NARROW, NARROW)
    with caplog.at_level(logging.INFO, "resift"):
        ranking = Reranker(model).rank("a", TEXTS)
    # The right choice here, so nothing is amiss.
    assert (ranking.status, ranking.precision) == ("complete", "fp32")
    assert "gets products in int8 wrong" in caplog.text
    with pytest.raises(BackendUnavailableError, match="Expected precision 'fp32'"):
        Reranker(model, precision="int8").warm_up()
    # Of other precisions nothing is asked.
    assert Reranker(model, precision="fp32").rank("a", TEXTS).precision == "fp32"


def test_altered_weights_are_not_a_reason_to_fall_back(
    model: Path, on: Callable[[str], None]
) -> None:
    on("avx512")
    with (model / "model_int8.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(UnsupportedModelError, match=r"model_int8\.onnx is damaged"):
        Reranker(model).warm_up()


def test_every_backend_refuses_wrong_golden_pairs(graph_backend: str, model: Path) -> None:
    write(model, ["fp32"], golden="fp32")
    Reranker(model, backend=graph_backend).warm_up()
    shift_golden(model, 0.02)
    with pytest.raises(SelfTestError, match=f"on {graph_backend} doesn't compute"):
        Reranker(model, backend=graph_backend).warm_up()


def test_auto_takes_the_backend_that_runs_the_precision(
    tiny: Path, on: Callable[[str], None]
) -> None:
    require("openvino")
    on("avx512")
    assert Reranker(tiny, precision="fp32").rank("a", TEXTS).backend == "onnx"
    ranking = Reranker(tiny, precision="bf16").rank("a", TEXTS)
    assert (ranking.backend, ranking.precision) == ("openvino", "bf16")
    assert [each.index for each in ranking] == [0, 2, 1]


def test_bf16_is_close_to_float32() -> None:
    require("openvino")
    if reason := lacking("openvino", "bf16"):
        pytest.skip(reason)
    from resift.testing import QUERY, TEXTS

    exact = Reranker(precision="fp32").score(QUERY, TEXTS, normalization="none")
    reranker = Reranker(precision="bf16", normalization="none")
    scores = reranker.score(QUERY, TEXTS)
    assert scores == pytest.approx(exact, abs=0.2)
    assert scores != pytest.approx(exact, abs=1e-5)
    # In company and alone: contract, "same text, other neighbours".
    assert [reranker.score(QUERY, [text])[0] for text in TEXTS] == pytest.approx(scores, abs=1e-5)


def test_an_unavailable_precision_is_explained(tiny: Path) -> None:
    with pytest.raises(BackendUnavailableError, match="'int4' is not one that the installed"):
        Reranker(tiny, precision="int4").warm_up()
    with pytest.raises(BackendUnavailableError, match=r"precision fp16; .* has \['fp32 \(onnx\)"):
        Reranker(tiny, precision="fp16").warm_up()
