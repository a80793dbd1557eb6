"""A ``Remote`` of every protocol, and ``compare_server``, against the server itself."""

from __future__ import annotations

import httpx
import pytest

from resift import Reranker
from resift.compare import compare_server
from resift.protocols import PROTOCOLS
from resift.scales import LOGIT
from resift.scoring import Remote

QUERY = "how do I sort a dictionary by value"
TEXTS = [
    "Bread rises because yeast turns sugar into carbon dioxide.",
    "Use sorted with a key function to sort a dictionary by value.",
    "The museum is closed on Mondays.",
    "Ein Wörterbuch 📖 sortieren: 字典。",
    *(f"Chapter {number} of a long book about dictionaries." for number in range(60)),
]
SERVED = [name for name in PROTOCOLS if name not in ("openai-listwise", "kserve-v2")]


@pytest.mark.parametrize("protocol", SERVED)
def test_a_remote_ranks_as_the_model_does(
    protocol: str, server: httpx.Client, reranker: Reranker
) -> None:
    remote = Reranker(scorer=Remote(str(server.base_url), protocol=protocol, model="resift-small"))
    found, expected = remote.rank(QUERY, TEXTS), reranker.rank(QUERY, TEXTS)
    scores = {each.index: each.score for each in found}
    assert scores == pytest.approx({each.index: each.score for each in expected}, abs=1e-5)
    assert [each.index for each in found][:4] == [each.index for each in expected][:4]
    if found.scale == LOGIT:
        logits = {each.index: each.logit for each in found}
        assert logits == pytest.approx({each.index: each.logit for each in expected}, abs=1e-4)


def test_a_remote_of_resifts_own_protocol_hears_all(server: httpx.Client) -> None:
    remote = Reranker(scorer=Remote(str(server.base_url), protocol="resift"))
    ranking = remote.rank(QUERY, [TEXTS[2] * 300, TEXTS[1]], max_document_tokens=20)
    assert ranking.counts.truncated_documents == 1
    assert ranking.revision is not None
    assert remote.rank(QUERY, TEXTS, deadline_ms=60_000).status == "complete"


@pytest.mark.parametrize("protocol", ["resift", "tei", "cohere", "infinity", "vllm", "weaviate"])
def test_the_server_compares_as_the_same(protocol: str, server: httpx.Client) -> None:
    report = compare_server(str(server.base_url), protocol=protocol, model="resift-small")
    assert report.status == "same", report
