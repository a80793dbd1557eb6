"""Saving: the ranker's dictionary, and what it is loaded from."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from haystack import Document
from haystack.core.errors import DeserializationError, SerializationError
from haystack_integrations.components.rankers.resift import ResiftRanker

from resift import Calibration, Prior, Reranker, TimingEvent
from resift.testing import QUERY, TEXTS

MakeDocuments = Callable[[], list[Document]]
TYPE = "haystack_integrations.components.rankers.resift.ranker.ResiftRanker"


def test_to_dict_of_the_defaults() -> None:
    assert ResiftRanker().to_dict() == {
        "type": TYPE,
        "init_parameters": {
            "model": "resift-small",
            "backend": "auto",
            "normalization": "auto",
            "long_documents": "truncate",
            "prior": "auto",
            "on_error": "raise",
            "top_k": 5,
            "score_threshold": None,
            "metadata_fields": [],
        },
    }


def test_every_option_survives_a_round_trip(tmp_path: Path) -> None:
    parameters: dict[str, Any] = {
        "model": str(tmp_path),
        "backend": "onnx",
        "device": "cpu",
        "precision": "fp32",
        "max_length": 128,
        "max_batch_tokens": 512,
        "threads": 2,
        "normalization": {"slope": 0.5, "intercept": -1.0},
        "long_documents": "windows",
        "prune": "auto",
        "prior": {"place_weight": 0.5, "score_weight": 0.25, "score_centre": 1.0},
        "deadline_ms": 250.0,
        "max_documents": 40,
        "on_error": "first_stage",
        "revision": "main",
        "cache_dir": str(tmp_path / "cache"),
        "offline": True,
        "on_timing": "builtins.print",
        "top_k": None,
        "score_threshold": 0.0,
        "metadata_fields": ["title", "url"],
    }
    ranker = ResiftRanker(
        model=tmp_path,
        backend="onnx",
        device="cpu",
        precision="fp32",
        max_length=128,
        max_batch_tokens=512,
        threads=2,
        normalization=Calibration(slope=0.5, intercept=-1.0),
        long_documents="windows",
        prune="auto",
        prior=Prior(place_weight=0.5, score_weight=0.25, score_centre=1.0),
        deadline_ms=250,
        max_documents=40,
        on_error="first_stage",
        revision="main",
        cache_dir=tmp_path / "cache",
        offline=True,
        on_timing=print,
        top_k=None,
        score_threshold=0.0,
        metadata_fields=("title", "url"),
    )
    assert ranker.to_dict() == {"type": TYPE, "init_parameters": parameters}
    assert ResiftRanker.from_dict(ranker.to_dict()).to_dict() == ranker.to_dict()


def test_a_ready_reranker_is_saved_as_its_options(make_documents: MakeDocuments) -> None:
    threshold = Reranker().rank(QUERY, TEXTS, normalization="none")[1].score
    reranker = Reranker(normalization="none", score_threshold=threshold, max_length=64)
    ready = ResiftRanker(reranker=reranker, top_k=3)
    again = ResiftRanker.from_dict(ready.to_dict())
    assert len(ready.run(QUERY, make_documents())["documents"]) == 2
    assert again.run(QUERY, make_documents()) == ready.run(QUERY, make_documents())
    assert again.to_dict() == ready.to_dict()
    mine = ResiftRanker(reranker=reranker, score_threshold=0.0).to_dict()
    assert mine["init_parameters"]["score_threshold"] == 0.0


def test_from_dict_needs_no_parameters() -> None:
    for data in ({"type": TYPE}, {"type": TYPE, "init_parameters": {}}):
        assert ResiftRanker.from_dict(data).to_dict() == ResiftRanker().to_dict()


def test_from_dict_changes_nothing_it_is_given() -> None:
    data = ResiftRanker(on_timing=print).to_dict()
    before = copy.deepcopy(data)
    ResiftRanker.from_dict(data)
    ResiftRanker.from_dict(data)
    assert data == before


def test_a_dictionary_that_cannot_be_loaded_is_refused() -> None:
    with pytest.raises(DeserializationError, match="Other"):
        ResiftRanker.from_dict({"type": "haystack.Other", "init_parameters": {}})
    with pytest.raises(TypeError, match="batch_size"):
        ResiftRanker.from_dict({"type": TYPE, "init_parameters": {"batch_size": 8}})
    with pytest.raises(DeserializationError, match="os"):
        ResiftRanker.from_dict({"type": TYPE, "init_parameters": {"on_timing": "os.remove"}})


def test_a_callback_that_cannot_be_imported_is_not_saved() -> None:
    def nested(event: TimingEvent) -> None:
        raise AssertionError(event)

    for callback in (lambda event: None, nested):
        with pytest.raises(SerializationError):
            ResiftRanker(on_timing=callback).to_dict()


def test_the_class_is_defined_where_haystack_lets_it_be_loaded_from() -> None:
    assert f"{ResiftRanker.__module__}.{ResiftRanker.__name__}" == TYPE
