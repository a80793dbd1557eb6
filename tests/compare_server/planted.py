"""Servers on loopback with a real model, sound or with a defect, and what is said of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from remote.loopback import Loopback, serve

from resift import Reranker
from resift.compare import Finding, Report, compare_server
from resift.protocols import PROTOCOLS, WireRequest, WireResponse, WireResult, WireScore

Values = NDArray[np.float64]
MODEL = "some-model"


def sigmoid(logits: Values) -> Values:
    return 1 / (1 + np.exp(-logits))


def softmax(logits: Values) -> Values:
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum())


@dataclass(frozen=True)
class Planted:
    """A server of a real model, with what is done to its texts and scores on the way."""

    model: Reranker
    cut: Callable[[str], str] = lambda text: text
    options: tuple[tuple[str, Any], ...] = ()
    raw: Callable[[Values], Values] = lambda logits: logits
    plain: Callable[[Values], Values] = sigmoid

    def __call__(self, request: WireRequest) -> WireResponse:
        return WireResponse(results=tuple(self._result(request, at) for at in range(1)))

    def _result(self, request: WireRequest, at: int) -> WireResult:
        query = request.queries[at]
        texts = [self.cut(text or "") for text in query.documents]
        scored = self.model.score(query.query, texts, normalization="none", **dict(self.options))
        logits = np.array(scored, dtype=np.float64)
        shown = (self.raw if request.normalization == "none" else self.plain)(logits)
        order = sorted(range(len(texts)), key=lambda place: (-shown[place], place))
        scores = [
            WireScore(index=place, score=float(shown[place]), logit=float(logits[place]))
            for place in order
        ]
        extra = {"counts": {}, "scale": "logit"}
        return WireResult(
            scores=tuple(scores[: request.top_n]), model="there", tokens=1, extra=extra
        )


def compared(server: Loopback, here: Reranker, **options: Any) -> Report:
    model = MODEL if PROTOCOLS[server.shape].needs_model else None
    given = {"protocol": server.shape, "reranker": here, "model": model, "timeout": 20.0}
    return compare_server(server.url, **{**given, **options})


@contextmanager
def served(shape: str, ranks: Callable[[WireRequest], WireResponse]) -> Iterator[Loopback]:
    with serve(shape) as server:
        server.ranks = ranks
        yield server


def differing(report: Report) -> set[str]:
    return {each.topic for each in report.findings if each.verdict == "differs"}


def found(report: Report, topic: str) -> Finding:
    """The finding on a topic, which the report must have."""
    finding = report.finding(topic)
    assert finding is not None, topic
    return finding


def said(report: Report, topic: str) -> str:
    return found(report, topic).said


def documents(body: Any) -> Sequence[str]:
    return list(body.get("documents") or body.get("texts") or ())
