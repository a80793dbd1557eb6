"""Rows on ways to call: asynchronously, from threads, offline."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from resift import InvalidRequestError, ModelNotFoundError, OfflineError, TimingEvent
from resift.testing.subject import Subject, shared
from resift.testing.texts import QUERY, TEXTS


class CallRows(Subject):
    """Rows on every way to call, and on the network and imports that a call needs."""

    def test_async_calls_give_the_same_results(self) -> None:
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

        # A busy machine only lengthens a wait now and then; a call that blocks does so every time.
        rounds = []
        for _ in range(3):
            total, longest = asyncio.run(measure())
            if longest < max(0.15, total / 3):
                return
            rounds.append((total, longest))
        pytest.fail(f"(total, longest wait) of each round: {rounds}")

    def test_64_threads_agree_with_one(self) -> None:
        subject = self.build(top_n=None)
        queries = [f"{text} {n}" for n, text in enumerate(TEXTS * 8)]
        documents = self.to_native(TEXTS[:3])
        expected = [self.read(self.run(subject, query, documents), documents) for query in queries]
        with ThreadPoolExecutor(64) as pool:
            outputs = list(pool.map(lambda query: self.run(subject, query, documents), queries))
        for output, alone in zip(outputs, expected, strict=True):
            found = self.read(output, documents)
            assert [each.index for each in found] == [each.index for each in alone]
            # They share passes, which may move a last digit.
            scores = [each.score for each in alone]
            assert [each.score for each in found] == pytest.approx(scores, abs=1e-5)

    def test_timing_is_reported(self) -> None:
        events: list[TimingEvent] = []
        self.rank(QUERY, TEXTS, on_timing=events.append)
        (event,) = events
        assert event.documents == event.pairs == len(TEXTS)
        assert event.padded_tokens >= event.tokens > 0
        assert event.infer > 0
        assert event.total >= event.load + event.tokenize + event.infer + event.rank > 0
        ranking = shared.rank(QUERY, TEXTS)
        for name in ("model", "revision", "backend", "device", "precision", "status"):
            assert getattr(event, name) == getattr(ranking, name), name
        assert None not in (event.revision, event.device, event.precision)
        json.dumps(event.to_dict())

    # Models, network and imports

    def test_ranking_opens_no_connection(self, monkeypatch: pytest.MonkeyPatch) -> None:
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
            [sys.executable, "-c", program], capture_output=True, encoding="utf-8", check=True
        )
        assert done.stdout.strip() == "[]"
