"""Rows for adapters that are pydantic models."""

from __future__ import annotations

import json
from typing import Any

import pytest

from resift import Calibration, InvalidRequestError, Reranker
from resift.adapter import DATA_OPTIONS
from resift.testing.adapters import AdapterContract
from resift.testing.options import TOKEN
from resift.testing.texts import QUERY, TEXTS


class PydanticAdapterContract(AdapterContract):
    """The contract for adapters, with rows on fields, schemas, dumps and ``model_copy``."""

    @pytest.mark.parametrize("mode", ["validation", "serialization"])
    def test_schema_has_every_option_that_is_data(self, mode: Any) -> None:
        kind = type(self.build())
        schema = kind.model_json_schema(mode=mode)
        json.dumps(schema)
        if mode == "validation":
            known = {*DATA_OPTIONS, "top_n", "score_threshold", "metadata_fields"}
            assert known <= set(schema["properties"])
            assert not {"token", "on_timing", "reranker"} & set(schema["properties"])
            assert schema["properties"]["model"]["default"] == "resift-small"
            assert schema["properties"]["top_n"]["default"] == 5
            assert not schema.get("required")

    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"top_n": None, "offline": False, "devices": ["cpu"]},
            {
                "model": "resift-nano",
                "top_n": 2,
                "score_threshold": 0.25,
                "metadata_fields": ["title"],
                "normalization": Calibration(slope=2.0, intercept=1.0),
                "threads": 1,
            },
        ],
        ids=["defaults", "none", "some"],
    )
    def test_a_dump_recreates_an_equal_adapter(self, options: dict[str, Any]) -> None:
        subject = self.build(**options)
        kind = type(subject)
        assert subject.model_dump()["model"] == options.get("model", "resift-small")
        assert kind(**subject.model_dump()) == subject
        as_json = json.loads(subject.model_dump_json())
        assert kind(**as_json) == subject
        assert kind.model_validate(as_json) == subject
        assert kind.model_validate_json(subject.model_dump_json()) == subject
        assert subject != self.build(**{**options, "max_length": 100})

    def test_dumps_leave_out_callables_and_secrets(self) -> None:
        subject = self.build(on_timing=print, token=self.token(TOKEN))
        for dumped in (subject.model_dump(), json.loads(subject.model_dump_json())):
            assert not {"on_timing", "token", "reranker"} & set(dumped)
        assert TOKEN not in subject.model_dump_json()

    def test_dumps_follow_assignments(self) -> None:
        subject = self.build()
        subject.top_n = 2
        subject.reranker = Reranker("resift-nano")
        dumped = subject.model_dump()
        assert (dumped["top_n"], dumped["model"]) == (2, "resift-nano")

    def test_model_copy_takes_effect(self) -> None:
        subject = self.build(top_n=3, threads=1, token=self.token(TOKEN), prior=0)
        documents = self.to_native(TEXTS)
        copied = subject.model_copy(update={"top_n": 1})
        assert copied.reranker is subject.reranker
        assert len(self.read(self.run(copied, QUERY, documents), documents)) == 1
        assert len(self.read(self.run(subject, QUERY, documents), documents)) == 3
        for deep in (False, True):
            other = subject.model_copy(update={"model": "resift-nano", "top_n": 2}, deep=deep)
            assert (other.model, other.threads, other.top_n) == ("resift-nano", 1, 2)
            # A new engine has the token too.
            assert other.reranker._load_options.token == TOKEN
            kept = self.read(self.run(other, QUERY, documents), documents)
            scores = Reranker("resift-nano").rank(QUERY, TEXTS, top_n=2)
            assert [(r.index, r.score) for r in kept] == [(r.index, r.score) for r in scores]
        ready = Reranker("resift-nano")
        assert subject.model_copy(update={"reranker": ready}).reranker is ready
        assert (subject.model, subject.top_n) == ("resift-small", 3)

    @pytest.mark.parametrize(
        "update",
        [
            {"top_n": 0},
            {"score_threshold": "high"},
            {"metadata_fields": "title"},
            {"normalization": "tanh"},
            {"model": ""},
            {"token": 5},
            {"scorer": Reranker()},
            {"reranker": None},
            {"reranker": Reranker(), "threads": 1},
        ],
        ids=str,
    )
    def test_model_copy_is_checked(self, update: dict[str, Any]) -> None:
        with pytest.raises(InvalidRequestError, match=next(iter(update))):
            self.build().model_copy(update=update)

    def test_model_copy_refuses_misspelt_options(self) -> None:
        with pytest.raises(TypeError, match="topn"):
            self.build().model_copy(update={"topn": 1})
        with pytest.raises(ValueError, match="topn"):
            self.build().topn = 1

    def test_subclasses_may_have_fields_of_their_own(self) -> None:
        import inspect

        base: Any = type(self.build())
        sub: Any = type(base)(
            "Labelled",
            (base,),
            {
                "__module__": __name__,
                "__annotations__": {"label": str, "size": int},
                "label": "mine",
            },
        )
        subject = sub(size=3, top_n=2, normalization="none")
        assert (subject.label, subject.size, subject.top_n) == ("mine", 3, 2)
        assert {"label", "size", "model"} <= set(inspect.signature(sub).parameters)
        subject.label = "other"
        again = sub(**subject.model_dump())
        assert again == subject
        assert (again.label, again.normalization) == ("other", "none")
        copied = subject.model_copy(update={"label": "third", "top_n": 1})
        assert (copied.label, copied.top_n, subject.label) == ("third", 1, "other")
        documents = self.to_native(TEXTS)
        assert len(self.read(self.run(copied, QUERY, documents), documents)) == 1
        with pytest.raises(TypeError, match="labell"):
            sub(size=3, labell="x")
        with pytest.raises(TypeError, match="top_n"):
            type(base)("Other", (base,), {"__annotations__": {"top_n": int}, "top_n": 1})
