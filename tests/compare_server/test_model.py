"""The model of a server, the same or another, as ``resift compare-server`` tells it."""

from __future__ import annotations

import numpy as np
import pytest
from compare_server.planted import MODEL, Planted, compared, differing, found, said, served

from resift import InvalidRequestError, Reranker
from resift.protocols import PROTOCOLS
from resift.scoring import Cached, Local, Remote

SCORED = sorted(PROTOCOLS.keys() - {"openai-listwise"})


@pytest.mark.parametrize("shape", SCORED)
def test_a_sound_server_is_the_same(shape: str, small: Reranker) -> None:
    with served(shape, Planted(small)) as server:
        report = compared(server, small)
    assert [each for each in report.findings if each.verdict != "same"] == []
    assert report.status == "same"
    assert report.requests == len(server.bodies) <= 25
    topics = {each.topic for each in report.findings}
    always = {"answer", "documents", "index", "model", "scale", "rounding", "repeated"}
    assert always | {"neighbours", "length", "query", "many", "odd texts"} <= topics
    assert ("default scale" in topics) == (PROTOCOLS[shape].scale == "logit")
    assert ("top_n" in topics) == ("top_n" in PROTOCOLS[shape].speaks)


@pytest.fixture(scope="module")
def whole() -> Reranker:
    """The same as ``small``, in float32."""
    return Reranker(scorer=Cached(Local("resift-small", precision="fp32")))


@pytest.mark.parametrize("shape", ["tei", "jina"])
def test_another_precision_is_the_same_model(shape: str, small: Reranker, whole: Reranker) -> None:
    with served(shape, Planted(whole)) as server:
        report = compared(server, small)
    assert [each for each in report.findings if each.verdict != "same"] == []


def test_of_an_order_the_order_alone_is_compared(small: Reranker, nano: Reranker) -> None:
    with served("openai-listwise", Planted(small)) as server:
        same, other = compared(server, small), compared(server, nano)
    assert same.status == "same"
    assert [each.topic for each in same.findings] == ["answer", "model", "repeated"]
    assert differing(other) == {"model"}
    assert said(other, "model") == "another order"


@pytest.mark.parametrize("shape", ["tei", "jina"])
def test_another_model_is_told(shape: str, small: Reranker, nano: Reranker) -> None:
    with served(shape, Planted(nano)) as server:
        report = compared(server, small)
    assert differing(report) == {"model"}, report.to_text()
    assert said(report, "model") == "another model"
    assert 0.3 < found(report, "model").evidence["kendall_tau"] < 0.95


def test_a_model_here_without_logits_is_refused(small: Reranker) -> None:
    with served("jina", Planted(small)) as server:
        here = Reranker(scorer=Remote(server.url, protocol="jina", model=MODEL))
        with pytest.raises(InvalidRequestError, match="reranker must give logits"):
            compared(server, here)
        assert server.bodies == []


def test_a_constant_is_no_model(small: Reranker) -> None:
    with served("jina", Planted(small, plain=lambda x: np.full_like(x, 0.5))) as server:
        report = compared(server, small)
    assert said(report, "model") == "every score is the same"
    assert report.status == "differs"
