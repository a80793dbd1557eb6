from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core.callbacks import CallbackManager
from llama_index.core.schema import MetadataMode, NodeWithScore
from llama_index.postprocessor.resift import ResiftRerank
from pydantic import BaseModel, SerializeAsAny

from resift import Calibration, Reranker, TimingEvent
from resift.testing import QUERY

MakeNodes = Callable[..., list[NodeWithScore]]

EVERYTHING: dict[str, Any] = {
    "top_n": 3,
    "score_threshold": 0.0,
    "metadata_fields": ("title", "author"),
    "metadata_mode": MetadataMode.EMBED,
    "keep_retrieval_score": True,
    "model": "resift-small",
    "backend": "onnx",
    "max_length": 128,
    "threads": 1,
    "normalization": Calibration(slope=2.0, intercept=-1.0),
    "long_documents": "windows",
    "prune": "auto",
    "prior": 0.25,
    "deadline_ms": 250.0,
    "max_documents": 40,
    "on_error": "first_stage",
    "offline": True,
}


@pytest.mark.parametrize("options", [{}, {"top_n": None}, EVERYTHING], ids=["default", "all", "x"])
def test_a_saved_postprocessor_is_loaded_as_it_was(options: dict[str, Any]) -> None:
    rerank = ResiftRerank(**options)
    saved = rerank.to_dict()
    assert saved["class_name"] == ResiftRerank.class_name() == "ResiftRerank"
    assert ResiftRerank.from_dict(saved).to_dict() == saved
    assert json.loads(rerank.to_json()) == json.loads(json.dumps(saved))
    assert ResiftRerank.from_json(rerank.to_json()).to_dict() == saved
    assert pickle.loads(pickle.dumps(rerank)).to_dict() == saved
    assert copy.deepcopy(rerank).to_dict() == saved
    assert rerank.model_copy().to_dict() == saved


def test_options_survive_in_full() -> None:
    saved = ResiftRerank.from_json(ResiftRerank(**EVERYTHING).to_json()).to_dict()
    assert saved == {
        **EVERYTHING,
        "class_name": "ResiftRerank",
        "metadata_fields": ["title", "author"],
        "metadata_mode": "embed",
        "normalization": {"slope": 2.0, "intercept": -1.0},
    }


def test_it_is_saved_inside_other_models() -> None:
    class Pipeline(BaseModel):
        steps: list[SerializeAsAny[ResiftRerank]]

    dumped = Pipeline(steps=[ResiftRerank(top_n=2)]).model_dump()
    assert dumped["steps"][0]["top_n"] == 2


def test_an_engines_own_threshold_is_saved() -> None:
    rerank = ResiftRerank(reranker=Reranker(score_threshold=0.5))
    assert rerank.to_dict()["score_threshold"] == 0.5


def test_on_timing_is_left_out_and_given_again() -> None:
    events: list[TimingEvent] = []
    rerank = ResiftRerank(on_timing=events.append, top_n=2)
    assert "on_timing" not in rerank.to_dict()
    again = ResiftRerank.from_json(rerank.to_json(), on_timing=events.append)
    again.postprocess_nodes([], query_str=QUERY)
    assert len(events) == 1


def test_a_callback_that_cannot_be_pickled_is_not_dropped() -> None:
    with pytest.raises((pickle.PicklingError, AttributeError)):
        pickle.dumps(ResiftRerank(on_timing=lambda event: None))


def test_copies_rank_alike(engine: Reranker, make_nodes: MakeNodes) -> None:
    rerank = ResiftRerank(reranker=engine, top_n=2)
    expected = rerank.postprocess_nodes(make_nodes(), query_str=QUERY)
    for other in (copy.deepcopy(rerank), copy.copy(rerank), pickle.loads(pickle.dumps(rerank))):
        assert other.postprocess_nodes(make_nodes(), query_str=QUERY) == expected
    assert copy.deepcopy(rerank).reranker is rerank.reranker is engine


def test_callback_manager_may_be_given_and_assigned() -> None:
    given, assigned = CallbackManager([]), CallbackManager([])
    rerank = ResiftRerank(callback_manager=given)
    assert rerank.callback_manager is given
    rerank.callback_manager = assigned
    assert rerank.callback_manager is assigned


def test_repr_tells_the_options() -> None:
    assert repr(ResiftRerank(top_n=7)).startswith("ResiftRerank(model='resift-small'")
    assert "top_n=7" in repr(ResiftRerank(top_n=7))
