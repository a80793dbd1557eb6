"""Rows on an adapter's options: shown by signatures, read, assigned, copied, and kept secret."""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from resift import InvalidRequestError, Reranker, RerankerOptions, TimingEvent
from resift.given import resolved
from resift.options import adapter_defaults
from resift.testing.subject import Subject
from resift.testing.texts import QUERY, TEXTS

TOKEN = "hf_this_must_not_be_seen"

_FIXED: dict[str, Any] = {
    "model": "resift-nano",
    "backend": "onnx",
    "device": "cpu",
    "devices": ["cpu"],
    "precision": "fp32",
    "max_length": 128,
    "max_document_tokens": 100,
    "max_batch_tokens": 512,
    "threads": 1,
    "normalization": "none",
    "long_documents": "windows",
    "prune": "off",
    "prior": 0.5,
    "revision": "main",
    "cache_dir": "cache",
    "offline": True,
    "token": TOKEN,
    "trust_remote_code": True,
    "on_timing": print,
}


class OptionRows(Subject):
    """Rows on reading options, and on assigning them."""

    names: ClassVar[Mapping[str, str]] = {}
    """The contract's names of options to the adapter's, where they differ."""

    def token(self, text: str) -> Any:
        """Wrap a token in the framework's type for secrets."""
        return text

    def name(self, option: str) -> str:
        """The adapter's name for an option of the contract."""
        return self.names.get(option, option)

    def assign(self, subject: Any, option: str, value: Any) -> None:
        """Assign an option, given by the contract's name."""
        setattr(subject, self.name(option), value)

    def test_signatures_show_every_option(self) -> None:
        kind = type(self.build())
        engine = adapter_defaults()
        for signature in (inspect.signature(kind), inspect.signature(kind.__init__)):
            shown = signature.parameters
            for option in RerankerOptions.__annotations__:
                assert shown[option].default == engine[option], option
                assert shown[option].kind is inspect.Parameter.KEYWORD_ONLY
            assert shown[self.name("top_n")].default == 5
            assert {"score_threshold", "metadata_fields", "reranker"} <= set(shown)
            kinds = {parameter.kind for parameter in shown.values()}
            assert inspect.Parameter.VAR_KEYWORD not in kinds

    def test_options_can_be_read(self) -> None:
        given: dict[str, Any] = {
            name: value
            for name, value in _FIXED.items()
            if name not in ("token", "on_timing", "devices", "trust_remote_code")
        }
        given |= {"top_n": 3, "score_threshold": 0.25, "metadata_fields": ("title",)}
        subject = self.build(**given)
        for option, value in given.items():
            assert getattr(subject, self.name(option)) == value, option
        assert subject.devices is None
        assert subject.trust_remote_code is False

    def test_defaults_can_be_read(self) -> None:
        subject = self.build()
        for option, default in adapter_defaults().items():
            if option not in ("token", "on_timing"):
                assert getattr(subject, option) == default, option
        assert getattr(subject, self.name("top_n")) == 5
        assert subject.metadata_fields == ()

    def test_a_ready_rerankers_options_can_be_read(self) -> None:
        subject = self.build(reranker=Reranker("resift-nano", threads=1, score_threshold=0.5))
        assert (subject.model, subject.threads, subject.score_threshold) == ("resift-nano", 1, 0.5)
        # The reranker's own, and not what an adapter makes one with.
        assert subject.prior is None
        assert pickle.loads(pickle.dumps(subject)).prior is None

    def test_an_assigned_top_n_takes_effect(self) -> None:
        subject = self.build(top_n=3)
        documents = self.to_native(TEXTS)
        for top_n, expected in ((1, 1), (None, len(TEXTS)), (2, 2)):
            self.assign(subject, "top_n", top_n)
            assert getattr(subject, self.name("top_n")) == top_n
            assert len(self.read(self.run(subject, QUERY, documents), documents)) == expected

    def test_an_assigned_threshold_takes_effect(self) -> None:
        subject = self.build(top_n=None)
        documents = self.to_native(TEXTS)
        self.assign(subject, "score_threshold", 1.5)
        assert self.read(self.run(subject, QUERY, documents), documents) == []
        self.assign(subject, "score_threshold", None)
        assert len(self.read(self.run(subject, QUERY, documents), documents)) == len(TEXTS)

    def test_removing_the_rerankers_threshold_is_refused(self) -> None:
        subject = self.build(reranker=Reranker(score_threshold=0.5))
        with pytest.raises(InvalidRequestError, match="score_threshold=None"):
            self.assign(subject, "score_threshold", None)
        self.assign(subject, "score_threshold", 0.0)
        assert subject.score_threshold == 0.0

    def test_assigned_metadata_fields_take_effect(self) -> None:
        subject = self.build()
        documents = self.to_native([TEXTS[1]], [{"title": TEXTS[0]}])
        (before,) = self.read(self.run(subject, QUERY, documents), documents)
        self.assign(subject, "metadata_fields", ["title"])
        assert subject.metadata_fields == ("title",)
        (after,) = self.read(self.run(subject, QUERY, documents), documents)
        assert after.score is not None
        assert before.score is not None
        assert after.score > before.score

    @pytest.mark.parametrize(
        ("option", "wrong"),
        [
            *(("top_n", wrong) for wrong in (0, -1, True, 2.0, "2")),
            *(("score_threshold", wrong) for wrong in ("high", float("nan"), True)),
            *(("metadata_fields", wrong) for wrong in ("title", None, [1])),
            *(("reranker", wrong) for wrong in (None, "resift-small", 5)),
        ],
        ids=repr,
    )
    def test_an_invalid_assignment_is_refused(self, option: str, wrong: Any) -> None:
        subject = self.build(top_n=2)
        before = getattr(subject, self.name(option))
        with pytest.raises(InvalidRequestError, match=self.name(option)):
            self.assign(subject, option, wrong)
        assert getattr(subject, self.name(option)) == before
        documents = self.to_native(TEXTS)
        assert len(self.read(self.run(subject, QUERY, documents), documents)) == 2

    @pytest.mark.parametrize("option", list(RerankerOptions.__annotations__))
    def test_assigning_a_fixed_option_is_refused(self, option: str) -> None:
        subject = self.build()
        with pytest.raises(InvalidRequestError, match=f"(?s){option}.*make a new one") as caught:
            setattr(subject, option, _FIXED.get(option, 1))
        assert TOKEN not in str(caught.value)
        if option not in ("token", "on_timing"):
            assert getattr(subject, option) == adapter_defaults()[option]

    def test_a_reranker_may_be_assigned(self) -> None:
        events: list[TimingEvent] = []
        subject = self.build(top_n=2, score_threshold=0.0)
        reranker = Reranker("resift-nano", threads=1, on_timing=events.append)
        subject.reranker = reranker
        assert subject.reranker is reranker
        assert (subject.model, subject.threads) == ("resift-nano", 1)
        documents = self.to_native(TEXTS)
        assert len(self.read(self.run(subject, QUERY, documents), documents)) == 2
        assert [event.model for event in events] == ["resift-nano"]

    def test_assigning_to_a_copy_leaves_the_original_alone(self) -> None:
        subject = self.build(top_n=3)
        for copied in (copy.copy(subject), copy.deepcopy(subject)):
            assert copied.reranker is subject.reranker
            self.assign(copied, "top_n", 1)
            documents = self.to_native(TEXTS)
            assert len(self.read(self.run(copied, QUERY, documents), documents)) == 1
            assert len(self.read(self.run(subject, QUERY, documents), documents)) == 3

    def test_pickles_keep_options_and_can_be_assigned(self) -> None:
        subject = self.build(top_n=3, metadata_fields=("title",), normalization="none")
        self.assign(subject, "top_n", 2)
        revived = pickle.loads(pickle.dumps(subject))
        assert getattr(revived, self.name("top_n")) == 2
        assert (revived.metadata_fields, revived.normalization) == (("title",), "none")
        assert revived.reranker.options == subject.reranker.options
        self.assign(revived, "top_n", 1)
        documents = self.to_native(TEXTS)
        assert len(self.read(self.run(revived, QUERY, documents), documents)) == 1

    def test_a_token_is_passed_on_and_never_shown(self) -> None:
        subject = self.build(token=self.token(TOKEN))
        assert resolved(subject.reranker._load_options.token) == TOKEN
        documents = self.to_native(TEXTS[:1])
        output = self.run(subject, QUERY, documents)
        for shown in (repr(subject), str(subject), repr(subject.reranker), repr(output)):
            assert TOKEN not in shown
        assert TOKEN.encode() not in pickle.dumps(subject)
        assert resolved(copy.deepcopy(subject).reranker._load_options.token) == TOKEN
        with pytest.raises(InvalidRequestError, match="token"):
            self.build(token=self.token(TOKEN), reranker=Reranker())

    @pytest.mark.parametrize("wrong", [5, b"hf_this_must_not_be_seen", [TOKEN]], ids=repr)
    def test_an_invalid_token_is_refused_without_being_shown(self, wrong: Any) -> None:
        with pytest.raises(InvalidRequestError, match="token must be") as caught:
            self.build(token=wrong)
        assert TOKEN not in str(caught.value)
