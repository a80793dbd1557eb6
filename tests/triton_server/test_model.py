"""The model of the repository in Triton's Python backend, without a server."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from triton_server import backend_utils
from triton_server.backend_utils import InferenceRequest, InferenceResponse, TritonError

from resift import BackendUnavailableError, InvalidRequestError, OverloadedError, Reranker
from resift.export import export_triton

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("triton")
    export_triton(tiny_models.build(folder / "tiny"), folder / "out")
    return folder / "out"


@pytest.fixture
def make(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Initializes an instance as Triton does, with parameters."""
    monkeypatch.setitem(sys.modules, "triton_python_backend_utils", backend_utils.module())
    spec = importlib.util.spec_from_file_location("model", repository / "resift/1/model.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    # For dataclasses, which look for their module.
    monkeypatch.setitem(sys.modules, "model", module)
    spec.loader.exec_module(module)

    def initialize(kind: str = "CPU", **parameters: str) -> Any:
        model = module.TritonPythonModel()
        given = {name: {"string_value": value} for name, value in parameters.items()}
        model.initialize(
            {
                "model_config": json.dumps({"parameters": given}),
                "model_repository": str(repository / "resift"),
                "model_version": "1",
                "model_name": "resift",
                "model_instance_kind": kind,
                "model_instance_device_id": "1",
            }
        )
        return model

    return initialize


def values(response: InferenceResponse) -> dict[str, Any]:
    assert not response.has_error(), response.error()
    return {each.name(): each.as_numpy() for each in response.output_tensors()}


def refused(response: InferenceResponse) -> tuple[int, str]:
    error = response.error()
    assert error is not None
    return error.code(), error.message()


def counted(model: Any) -> dict[str, float]:
    return {name: each.value() for name, each in model._counters.items()}


def test_scores_are_the_engines(make: Make, repository: Path) -> None:
    model = make()
    texts = ["good a", "bad", "good good b", ""]
    (response,) = model.execute([InferenceRequest("q", texts)])
    found = values(response)
    expected = Reranker(repository / "resift/1/model")
    assert found["logits"].dtype == found["scores"].dtype == np.float32
    assert found["logits"].shape == (1, 4)
    assert found["logits"][0].tolist() == expected.score("q", texts, normalization="none")
    assert found["scores"][0].tolist() == pytest.approx(expected.score("q", texts))
    model.finalize()


def test_requests_and_rows_are_computed_together(
    make: Make, forwarded: list[Any], repository: Path
) -> None:
    model = make(threads="1")
    forwarded.clear()
    asked = [
        InferenceRequest("q", ["good", "bad"]),
        InferenceRequest([["q"], ["r"]], [["a", "b"], ["b", "a"]]),
        InferenceRequest("q", ["good good"]),
        InferenceRequest("q", []),
    ]
    found = [values(each)["logits"].tolist() for each in model.execute(asked)]
    logits = {text: tiny_models.logit(text) for text in ("good", "bad", "a", "b", "good good")}
    assert found == [
        [[logits["good"], logits["bad"]]],
        [[logits["a"], logits["b"]], [logits["b"], logits["a"]]],
        [[logits["good good"]]],
        [[]],
    ]
    # Seven pairs in a single pass.
    assert [len(batch.input_ids) for batch in forwarded] == [7]
    assert counted(model)["resift_pairs_total"] == 7


def test_only_what_was_asked_for_comes_back(make: Make) -> None:
    model = make()
    for outputs in (("scores",), ("logits",), ("logits", "scores")):
        (response,) = model.execute([InferenceRequest("q", ["a"], outputs=outputs)])
        assert set(values(response)) == set(outputs)


def test_a_bad_request_fails_alone(make: Make) -> None:
    model = make(max_documents="3")
    good = InferenceRequest("q", ["good"])
    bad = [
        (InferenceRequest("q", [b"a", b"\xff\xfe"]), TritonError.INVALID_ARG, "texts isn't UTF-8"),
        (InferenceRequest(b"\xff", ["a"]), TritonError.INVALID_ARG, "query isn't UTF-8"),
        (InferenceRequest("q", ["a"] * 4), TritonError.INVALID_ARG, "4 texts.*at most 3"),
        (InferenceRequest(["q", "r"], ["a"]), TritonError.INVALID_ARG, "one query in each"),
        (
            InferenceRequest([["q"], ["r"]], ["a"]),
            TritonError.INVALID_ARG,
            "2 rows and texts has 1",
        ),
        (InferenceRequest("q", ["a", "nan"]), TritonError.INTERNAL, r"NonFinite.*indices \[1\]"),
        (InferenceRequest("q", ["a"], cancelled=0), TritonError.CANCELLED, "before its turn"),
    ]
    responses = model.execute([good, *(each for each, _, _ in bad), good])
    for place in (0, -1):
        assert values(responses[place])["logits"].tolist() == [[tiny_models.logit("good")]]
    for response, (_, code, words) in zip(responses[1:-1], bad, strict=True):
        found, message = refused(response)
        assert found == code, message
        assert re.search(words, message), message
        assert "\xff" not in message


def test_what_nobody_foresaw_is_logged_and_fails_one_request(make: Make) -> None:
    model = make()
    rank = model._reranker.rank_many

    class Broken:
        def rank_many(self, requests: Any, **options: Any) -> Any:
            if any("b" in texts for _, texts in requests):
                raise MemoryError("no room")
            return rank(requests, **options)

    model._reranker = Broken()
    backend_utils.Logger.said.clear()
    one, other = model.execute([InferenceRequest("q", ["a"]), InferenceRequest("q", ["b"])])
    assert values(one)["logits"].shape == (1, 1)
    assert refused(other) == (TritonError.INTERNAL, "resift: MemoryError: no room")
    assert backend_utils.Logger.said == ["resift: MemoryError: no room"]


def test_an_overload_may_be_asked_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()

    def full(*_: Any, **__: Any) -> Any:
        raise OverloadedError("too much waits")

    monkeypatch.setattr(Reranker, "rank_many", full)
    (response,) = model.execute([InferenceRequest("q", ["a"])])
    assert refused(response)[0] == TritonError.UNAVAILABLE


def test_work_that_nobody_waits_for_stops(make: Make, forwarded: list[Any]) -> None:
    model = make(threads="1", max_batch_tokens="32")
    forwarded.clear()
    texts = [f"w{number % 10} a b a b a b a b" for number in range(50)]
    # They are asked once before they are computed.
    gone = [InferenceRequest(query, texts, cancelled=2) for query in "ab"]
    responses = model.execute(gone)
    assert [refused(each)[0] for each in responses] == [TritonError.CANCELLED] * 2
    assert 0 < len(forwarded) < 20
    # One of them is still there.
    mixed = [InferenceRequest("q", texts, cancelled=2), InferenceRequest("q", texts)]
    assert [values(each)["scores"].shape for each in model.execute(mixed)] == [(1, 50)] * 2


def test_what_comes_too_late_is_said(make: Make) -> None:
    texts = [f"w{number % 10} {'a ' * number}" for number in range(300)]
    model = make(deadline_ms="0.001", threads="1")
    (response,) = model.execute([InferenceRequest("q", texts)])
    code, message = refused(response)
    assert code == TritonError.UNAVAILABLE
    assert "of 300 texts" in message
    model = make(threads="1")
    asked = [InferenceRequest("q", texts, timeout=1), InferenceRequest("r", texts, timeout=2)]
    assert [refused(each)[0] for each in model.execute(asked)] == [TritonError.UNAVAILABLE] * 2
    # Somebody who has time waits for the others, too.
    asked[1] = InferenceRequest("r", texts)
    assert [values(each)["scores"].shape for each in model.execute(asked)] == [(1, 300)] * 2


def test_what_was_done_is_counted(make: Make) -> None:
    model = make(max_length="8")
    texts = ["good", "good", "a b a b a b a b", "bad"]
    model.execute([InferenceRequest("q", texts), InferenceRequest("q", [b"\xff"])])
    found = counted(model)
    assert found.pop("resift_tokens_total") == 2 * 5 + 8
    assert found == {
        "resift_documents_total": 4,
        "resift_pairs_total": 3,
        "resift_truncated_documents_total": 1,
    }
    assert {tuple(each.labels.items()) for each in model._counters.values()} == {
        (("model", "resift"), ("version", "1"))
    }


def test_parameters_are_options(make: Make) -> None:
    text = "a a a a a a a a a good"
    (cut,) = make(max_length="8").execute([InferenceRequest("q", [text])])
    (windows,) = make(max_length="8", long_documents="windows").execute(
        [InferenceRequest("q", [text])]
    )
    assert values(cut)["logits"][0, 0] < values(windows)["logits"][0, 0]
    # Triton's own, and what is for clients.
    make(EXECUTION_ENV_PATH="/env", model="tiny", revision="1")


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"thread": "2"}, "'thread' is no parameter; expected one of.*'threads'"),
        ({"threads": "two"}, "threads is 'two'; expected a number"),
        ({"threads": "0"}, "threads must be an int of at least 1"),
        ({"long_documents": "fold"}, "long_documents"),
    ],
)
def test_a_parameter_that_is_wrong_is_told_at_the_start(
    make: Make, parameters: dict[str, str], words: str
) -> None:
    with pytest.raises(InvalidRequestError, match=words):
        make(**parameters)


def test_an_instance_on_a_gpu_takes_that_gpu(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[dict[str, Any]] = []

    class Recorded(Reranker):
        def __init__(self, *given: Any, **options: Any) -> None:
            made.append(options)
            raise BackendUnavailableError("no GPU")

    monkeypatch.setattr(sys.modules["model"], "Reranker", Recorded)
    for parameters in ({}, {"device": "cuda", "precision": "bf16"}):
        with pytest.raises(BackendUnavailableError, match="no GPU"):
            make("GPU", **parameters)
    assert made == [
        {"offline": True, "backend": "torch", "device": "cuda:1"},
        {"offline": True, "backend": "torch", "device": "cuda", "precision": "bf16"},
    ]
