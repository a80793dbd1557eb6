"""The ranking contract as a pytest suite that the engine and every adapter inherit.

Subclass ``RankingContract`` in a test module, say how to build the thing under test and how to
read what it returns, and pytest runs every row. It needs ``pytest`` and ``hypothesis``.
"""

from __future__ import annotations

import asyncio
import copy
import json
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resift import (
    Calibration,
    InvalidRequestError,
    ModelNotFoundError,
    NonFiniteScoreError,
    OfflineError,
    Reranker,
    TimingEvent,
)

QUERY = "how do I sort a dictionary by value"
TEXTS = (
    "Use sorted with a key function that reads the second item to sort a dictionary by value.",
    "The Danube is the second-longest river in Europe, after the Volga.",
    "Dictionaries keep insertion order; build a new one from sorted items.",
    "A list can be sorted in place with its sort method.",
    "Bread rises because yeast turns sugar into carbon dioxide.",
    "Counter.most_common returns keys with their counts, largest first.",
    "dict.items() gives pairs of keys and values.",
    "The museum is closed on Mondays.",
)
HOSTILE_TEXTS = (
    "",
    " \t\r\n",
    "nul \x00 and bell \x07 and escape \x1b[31m",
    "lone surrogates \ud800 and \udfff",
    "emoji 👩🏽‍💻 🇪🇺 and a flag",
    "مرحبا بالعالم — שלום עולם",
    "[CLS] [SEP] [PAD] </s> <s>",
    "\u202eright-to-left override\u202c",
    "\ufeff\u200b\u2060",
    "a" * 100_000,
)

# A word list, so that hypothesis makes texts that models tell apart.
_WORDS = ("sort", "dictionary", "value", "river", "bread", "key", "list", "the", "order", "museum")
texts_strategy = st.lists(
    st.lists(st.sampled_from(_WORDS), max_size=12).map(" ".join), min_size=1, max_size=12
)
_PROPERTY = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
)

_shared = Reranker()


@dataclass(frozen=True)
class Kept:
    """One result in the suite's terms: its position among the documents given, and its score."""

    index: int
    score: float


class RankingContract:
    """Every row of the contract that can be seen from outside.

    Subclasses give the five methods below and the attributes.
    """

    import_name: str
    """The module to import."""
    default_top_n: int | None = 5
    """How many documents are kept when nothing is said."""

    def build(self, **options: Any) -> Any:
        """The thing under test, from the contract's option names."""
        raise NotImplementedError

    def to_native(
        self, texts: Sequence[Any], metadata: Sequence[Mapping[str, Any]] | None = None
    ) -> list[Any]:
        """The framework's documents, for texts and (as long) their metadata.

        A text that is ``None`` is one the framework knows as missing, or else ``""``.
        """
        raise NotImplementedError

    def run(self, subject: Any, query: Any, documents: list[Any], **call_options: Any) -> Any:
        """Rank, with ``call_options`` from those the framework has at call time."""
        raise NotImplementedError

    async def arun(
        self, subject: Any, query: Any, documents: list[Any], **call_options: Any
    ) -> Any:
        """``run`` through the framework's asynchronous interface."""
        raise NotImplementedError

    def read(self, output: Any, documents: list[Any]) -> list[Kept]:
        """What was returned, best first, in the suite's terms."""
        raise NotImplementedError

    def rank(
        self,
        query: Any,
        texts: Sequence[Any],
        call: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> list[Kept]:
        """Build, run and read in one go."""
        documents = self.to_native(texts)
        output = self.run(self.build(**options), query, documents, **(call or {}))
        return self.read(output, documents)

    # Input

    @pytest.mark.parametrize("query", ["", " \t\n", "\u3000"])
    def test_blank_query_is_refused(self, query: str) -> None:
        with pytest.raises(InvalidRequestError, match="query"):
            self.rank(query, TEXTS)
        with pytest.raises(ValueError, match="query"):
            self.rank(query, [])

    def test_no_documents_need_no_model(self) -> None:
        assert self.rank(QUERY, [], model="nobody/nothing", offline=True) == []

    def test_none_is_scored_as_empty(self) -> None:
        kept = self.rank(QUERY, [TEXTS[0], None, ""], top_n=3)
        by_index = {result.index: result.score for result in kept}
        assert by_index[1] == by_index[2]

    def test_duplicates_are_all_reported(self) -> None:
        kept = self.rank(QUERY, [TEXTS[1], TEXTS[0], TEXTS[1], TEXTS[0]], top_n=4)
        assert [result.index for result in kept] == [1, 3, 0, 2]
        assert kept[0].score == kept[1].score
        assert kept[2].score == kept[3].score

    def test_hostile_texts_are_ranked(self) -> None:
        kept = self.rank(QUERY, HOSTILE_TEXTS, top_n=len(HOSTILE_TEXTS))
        assert sorted(result.index for result in kept) == list(range(len(HOSTILE_TEXTS)))
        for text in HOSTILE_TEXTS[2:]:
            assert len(self.rank(text, TEXTS[:2])) == 2

    def test_a_long_document_is_ranked(self) -> None:
        long = "The river runs through ten countries. " * 27_000
        assert len(long) > 1_000_000
        assert [result.index for result in self.rank(QUERY, [long, TEXTS[0]])] == [1, 0]

    @pytest.mark.parametrize("top_n", [0, -1, True, False, 2.0, "2"])
    def test_impossible_top_n_is_refused(self, top_n: object) -> None:
        with pytest.raises(InvalidRequestError, match="top_n"):
            self.rank(QUERY, TEXTS, top_n=top_n)

    def test_top_n_keeps_the_best(self) -> None:
        everything = self.rank(QUERY, TEXTS, top_n=len(TEXTS))
        assert len(everything) == len(TEXTS)
        assert self.rank(QUERY, TEXTS, top_n=3) == everything[:3]
        assert self.rank(QUERY, TEXTS, top_n=100) == everything

    def test_default_top_n(self) -> None:
        expected = len(TEXTS) if self.default_top_n is None else self.default_top_n
        assert len(self.rank(QUERY, TEXTS)) == expected

    def test_top_n_none_keeps_all(self) -> None:
        assert len(self.rank(QUERY, TEXTS, top_n=None)) == len(TEXTS)

    @pytest.mark.parametrize(
        "option", ["topn", "threshold", "model_name", "batch_size", "top_n_", "normalise"]
    )
    def test_misspelt_option_is_refused(self, option: str) -> None:
        with pytest.raises(TypeError, match=option):
            self.build(**{option: 1})

    @pytest.mark.parametrize(
        "options",
        [
            {"normalization": "tanh"},
            {"normalization": ""},
            {"long_documents": "drop"},
            {"prune": "always"},
            {"prune": "auto", "normalization": "softmax"},
            {"score_threshold": "high"},
            {"score_threshold": float("nan")},
            {"score_threshold": True},
            {"max_length": 0},
            {"max_batch_tokens": -1},
            {"threads": 0},
            {"backend": "abacus"},
            {"model": ""},
            {"offline": "yes"},
        ],
        ids=str,
    )
    def test_impossible_option_is_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(InvalidRequestError, match=next(iter(options))):
            self.build(**options)

    def test_inputs_are_unchanged(self) -> None:
        documents = self.to_native(TEXTS)
        before = copy.deepcopy(documents)
        identities = [id(document) for document in documents]
        self.run(self.build(), QUERY, documents)
        assert documents == before
        assert [id(document) for document in documents] == identities

    # Text and truncation

    def test_max_length_beyond_the_model_is_refused(self) -> None:
        with pytest.raises(InvalidRequestError, match="100000"):
            self.rank(QUERY, TEXTS, max_length=100_000)

    def test_windows_find_what_truncation_loses(self) -> None:
        document = "The museum is closed on Mondays. " * 200 + TEXTS[0]
        texts = [TEXTS[3], document]
        assert [r.index for r in self.rank(QUERY, texts, max_length=64)] == [0, 1]
        kept = self.rank(QUERY, texts, max_length=64, long_documents="windows")
        assert [r.index for r in kept] == [1, 0]

    # Scores

    @pytest.mark.parametrize(
        "normalization",
        ["sigmoid", "none", "minmax", "softmax", Calibration(slope=0.5, intercept=-1.0)],
        ids=str,
    )
    def test_scores_are_the_engines(self, normalization: Any) -> None:
        ranking = _shared.rank(QUERY, TEXTS, normalization=normalization)
        kept = self.rank(QUERY, TEXTS, normalization=normalization, top_n=None)
        assert [(r.index, r.score) for r in kept] == [(r.index, r.score) for r in ranking]

    def test_scores_are_python_floats(self) -> None:
        for result in self.rank(QUERY, TEXTS):
            assert type(result.score) is float
            json.dumps(result.score)

    def test_saturated_scores_keep_the_order_of_logits(self) -> None:
        steep = Calibration(slope=1e6, intercept=1e9)
        kept = self.rank(QUERY, TEXTS, normalization=steep, top_n=None)
        assert {result.score for result in kept} == {1.0}
        assert [r.index for r in kept] == [r.index for r in _shared.rank(QUERY, TEXTS)]

    def test_pruning_leaves_scores_as_they_are(self) -> None:
        texts = [f"{text} {n}" for n in range(3) for text in TEXTS]
        events: list[TimingEvent] = []
        expected = {r.index: r.score for r in _shared.rank(QUERY, texts)}
        kept = self.rank(QUERY, texts, top_n=2, prune="auto", on_timing=events.append)
        assert [result.score for result in kept] == pytest.approx(
            [expected[result.index] for result in kept], abs=1e-5
        )
        assert len(kept) == 2
        assert events[0].pairs == len(texts) - events[0].pruned_documents

    def test_threshold_is_on_the_returned_scale_and_before_top_n(self) -> None:
        scores = sorted(_shared.score(QUERY, TEXTS, normalization="minmax"), reverse=True)
        options: dict[str, Any] = {"normalization": "minmax", "score_threshold": scores[2]}
        assert [r.score for r in self.rank(QUERY, TEXTS, **options)] == scores[:3]
        assert len(self.rank(QUERY, TEXTS, **options, top_n=2)) == 2
        assert self.rank(QUERY, TEXTS, normalization="minmax", score_threshold=1.5) == []

    def test_threshold_zero_is_honoured(self) -> None:
        options: dict[str, Any] = {"normalization": "none", "score_threshold": 0.0}
        kept = self.rank(QUERY, TEXTS, **options, top_n=None)
        logits = _shared.score(QUERY, TEXTS, normalization="none")
        assert min(logits) < 0
        assert len(kept) == sum(logit >= 0 for logit in logits)

    @pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf])
    def test_scores_are_never_nan(self, monkeypatch: pytest.MonkeyPatch, wrong: float) -> None:
        from resift.backends.onnx import OnnxBackend

        def forward(_: OnnxBackend, batch: Any) -> Any:
            return np.full((len(batch.input_ids), 1), wrong, dtype=np.float32)

        monkeypatch.setattr(OnnxBackend, "forward", forward)
        with pytest.raises(NonFiniteScoreError, match=r"\[0, 1\]") as caught:
            self.rank(QUERY, TEXTS[:2])
        assert caught.value.indices == (0, 1)

    @_PROPERTY
    @given(texts=texts_strategy, data=st.data())
    def test_order_of_documents_changes_nothing(
        self, texts: list[str], data: st.DataObject
    ) -> None:
        order = data.draw(st.permutations(range(len(texts))))
        subject = self.build(top_n=None)
        documents = self.to_native(texts)
        shuffled = self.to_native([texts[i] for i in order])
        straight = self.read(self.run(subject, QUERY, documents), documents)
        moved = self.read(self.run(subject, QUERY, shuffled), shuffled)
        assert sorted(r.index for r in moved) == list(range(len(texts)))
        expected = {result.index: result.score for result in straight}
        for result in moved:
            assert result.score == pytest.approx(expected[order[result.index]], abs=1e-5)

    # Every way to call

    def test_async_is_the_same(self) -> None:
        documents = self.to_native(TEXTS)
        subject = self.build()
        expected = self.read(self.run(subject, QUERY, documents), documents)
        output = asyncio.run(self.arun(subject, QUERY, documents))
        assert self.read(output, documents) == expected
        with pytest.raises(InvalidRequestError, match="query"):
            asyncio.run(self.arun(subject, " ", documents))
        assert self.read(asyncio.run(self.arun(subject, QUERY, [])), []) == []

    def test_event_loop_is_not_blocked(self) -> None:
        documents = self.to_native([f"{text} {n}" for text in TEXTS for n in range(40)])
        subject = self.build()
        self.run(subject, QUERY, documents[:1])

        async def measure() -> tuple[float, float]:
            ranking = asyncio.ensure_future(self.arun(subject, QUERY, documents))
            start = last = time.perf_counter()
            longest = 0.0
            while not ranking.done():
                await asyncio.sleep(0.001)
                now = time.perf_counter()
                longest, last = max(longest, now - last), now
            await ranking
            return last - start, longest

        # A busy machine only adds to a wait, and a call that blocks does so every time.
        rounds = [asyncio.run(measure()) for _ in range(3)]
        total, longest = min(rounds, key=lambda each: each[1] / each[0])
        assert longest < max(0.15, total / 3), f"(total, longest wait) of each round: {rounds}"

    def test_64_threads_agree_with_one(self) -> None:
        subject = self.build(top_n=None)
        queries = [f"{text} {n}" for n, text in enumerate(TEXTS * 8)]
        documents = self.to_native(TEXTS)
        expected = [self.read(self.run(subject, query, documents), documents) for query in queries]
        with ThreadPoolExecutor(64) as pool:
            outputs = list(pool.map(lambda query: self.run(subject, query, documents), queries))
        assert [self.read(output, documents) for output in outputs] == expected

    def test_timing_is_reported(self) -> None:
        events: list[TimingEvent] = []
        self.rank(QUERY, TEXTS, on_timing=events.append)
        (event,) = events
        assert event.documents == event.pairs == len(TEXTS)
        assert event.padded_tokens >= event.tokens > 0
        assert event.infer > 0
        assert event.total >= event.load + event.tokenize + event.infer + event.rank > 0
        assert event.model == "resift-small"
        json.dumps(event.to_dict())

    # Models and their surroundings

    def test_no_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        subject = self.build()

        def refuse(*_: object) -> None:
            raise AssertionError("a socket was opened")

        documents = self.to_native(TEXTS)
        with monkeypatch.context() as patch:
            patch.setattr(socket.socket, "connect", refuse)
            patch.setattr(socket, "getaddrinfo", refuse)
            self.run(subject, QUERY, documents)
            with pytest.raises(OfflineError, match="offline"):
                self.rank(QUERY, TEXTS, model="owner/never-downloaded", offline=True)

    def test_unknown_model_is_refused(self) -> None:
        with pytest.raises(ModelNotFoundError, match="no-such-model"):
            self.rank(QUERY, TEXTS, model="no-such-model")

    def test_import_loads_no_model(self) -> None:
        heavy = ["onnxruntime", "tokenizers", "torch", "transformers", "huggingface_hub"]
        program = (
            f"import sys, importlib; importlib.import_module({self.import_name!r});"
            f"print([name for name in {heavy} if name in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == "[]"


class CallOptionsContract(RankingContract):
    """The rows for what takes ``top_n`` and ``score_threshold`` at call time too."""

    def test_call_time_options_win(self) -> None:
        kept = self.rank(QUERY, TEXTS, {"top_n": 2}, top_n=4)
        assert len(kept) == 2
        everything = self.rank(QUERY, TEXTS, {"score_threshold": 0.0}, score_threshold=1.0)
        assert len(everything) == (self.default_top_n or len(TEXTS))
        with pytest.raises(InvalidRequestError, match="top_n"):
            self.rank(QUERY, TEXTS, {"top_n": 0}, top_n=4)


class AdapterContract(RankingContract):
    """The rows for adapters alone: metadata, and a ready ``reranker=``."""

    def test_metadata_fields_are_put_before_the_text(self) -> None:
        metadata: list[dict[str, Any]] = [
            {"title": "Sorting", "views": 0, "draft": False, "note": "", "missing": None, "x": 1},
            {"x": 2},
        ]
        fields = ("views", "title", "draft", "note", "missing", "absent")
        documents = self.to_native(TEXTS[:2], metadata)
        subject = self.build(metadata_fields=fields, normalization="none")
        kept = self.read(self.run(subject, QUERY, documents), documents)
        expected = _shared.score(
            QUERY,
            [f"views: 0\ntitle: Sorting\ndraft: False\nnote: \n{TEXTS[0]}", TEXTS[1]],
            normalization="none",
        )
        for result in kept:
            assert result.score == pytest.approx(expected[result.index], abs=1e-5)

    def test_metadata_is_not_scored_unasked(self) -> None:
        documents = self.to_native([TEXTS[1]], [{"title": TEXTS[0]}])
        (kept,) = self.read(self.run(self.build(), QUERY, documents), documents)
        assert kept.score == pytest.approx(_shared.score(QUERY, [TEXTS[1]])[0], abs=1e-5)

    def test_a_ready_reranker_is_used(self) -> None:
        events: list[TimingEvent] = []
        reranker = Reranker(on_timing=events.append)
        self.rank(QUERY, TEXTS, reranker=reranker)
        assert len(events) == 1
        with pytest.raises(InvalidRequestError, match="threads"):
            self.build(reranker=reranker, threads=1)
        with pytest.raises(InvalidRequestError, match="reranker"):
            self.build(reranker="resift-small")
