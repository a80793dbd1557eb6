"""Each client's shape, over HTTP: the order and the scores are those of ``Reranker.rank``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numbers_scorer import Numbers
from server.running import Serve

from resift import Reranker
from resift.protocols import PROTOCOLS, WireError
from resift.protocols.routes import ROUTES, choose_shape
from resift.scoring import Cascade

QUERY = "how do I sort a dictionary by value"
TEXTS = [
    "Bread rises because yeast turns sugar into carbon dioxide.",
    "Use sorted with a key function to sort a dictionary by value.",
    "The museum is closed on Mondays.",
    "",
    "Ein Wörterbuch 📖 sortieren: 字典。",
    "Use sorted with a key function to sort a dictionary by value.",
]

Scores = list[tuple[int, float]]


def results(answer: Mapping[str, Any]) -> Scores:
    return [(each["index"], each["relevance_score"]) for each in answer["results"]]


def pairs(key: str, name: str) -> Callable[[Any], Scores]:
    return lambda answer: [(each["index"], each[name]) for each in answer[key]]


def in_place(answer: Mapping[str, Any]) -> Scores:
    assert [each["document"] for each in answer["scores"]] == TEXTS
    return [(index, each["score"]) for index, each in enumerate(answer["scores"])]


DOCUMENTS = {"query": QUERY, "documents": TEXTS}
# path, body, how its answer is read, whether that is in the order given
CASES: dict[str, tuple[str, dict[str, Any], Callable[[Any], Scores], bool]] = {
    "tei": (
        "/rerank",
        {"query": QUERY, "texts": TEXTS},
        lambda answer: [(each["index"], each["score"]) for each in answer],
        False,
    ),
    "tei at the root": (
        "/",
        {"query": QUERY, "texts": TEXTS, "truncate": None, "raw_scores": False},
        lambda answer: [(each["index"], each["score"]) for each in answer],
        False,
    ),
    "cohere v1": ("/v1/rerank", {"model": "rerank-v3.5", **DOCUMENTS}, results, False),
    "cohere v2": (
        "/v2/rerank",
        {"model": "rerank-v3.5", **DOCUMENTS, "top_n": None, "max_tokens_per_doc": None},
        results,
        False,
    ),
    "jina": ("/v1/rerank", {"model": "jina-reranker-v2", **DOCUMENTS}, results, False),
    "voyage": (
        "/v1/rerank",
        {**DOCUMENTS, "model": "rerank-2", "top_k": None, "truncation": True},
        pairs("data", "relevance_score"),
        False,
    ),
    "vllm": ("/rerank", {**DOCUMENTS, "top_n": 0}, results, False),
    "vllm v2": ("/v2/rerank", DOCUMENTS, results, False),
    "vllm by its name": ("/vllm/rerank", DOCUMENTS, results, False),
    "score": ("/score", {"text_1": QUERY, "text_2": TEXTS}, pairs("data", "score"), True),
    "score v1": ("/v1/score", {"queries": QUERY, "items": TEXTS}, pairs("data", "score"), True),
    "infinity": ("/rerank", {**DOCUMENTS, "raw_scores": False}, results, False),
    "infinity by its name": ("/infinity/rerank", DOCUMENTS, results, False),
    "weaviate": ("/rerank", {**DOCUMENTS, "property": ""}, in_place, True),
    "resift": (
        "/v1/rank",
        DOCUMENTS,
        lambda answer: [(x["index"], x["score"]) for x in answer["rankings"][0]["results"]],
        False,
    ),
    "invocations": ("/invocations", {"query": QUERY, "texts": TEXTS}, pairs("0", "score"), False),
}
CASES["invocations"] = (*CASES["invocations"][:2], CASES["tei"][2], False)


@pytest.mark.parametrize("name", CASES)
def test_order_and_scores_are_the_engines(
    name: str, server: httpx.Client, reranker: Reranker
) -> None:
    path, body, read, in_order = CASES[name]
    answer = server.post(path, json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-resift-normalization"] == "sigmoid"
    expected = [(each.index, each.score) for each in reranker.rank(QUERY, TEXTS)]
    found = read(answer.json())
    if in_order:
        expected.sort()
    assert [index for index, _ in found] == [index for index, _ in expected]
    # Other requests may share a batch, which changes the last digits.
    assert [score for _, score in found] == pytest.approx([s for _, s in expected], abs=1e-5)


RAW = {
    "/rerank": {"query": QUERY, "texts": TEXTS, "raw_scores": True},
    "/infinity/rerank": {**DOCUMENTS, "raw_scores": True},
    "/score": {"text_1": QUERY, "text_2": TEXTS, "use_activation": False},
    "/v1/rank": {**DOCUMENTS, "normalization": "none"},
}


@pytest.mark.parametrize("path", RAW)
def test_logits_are_given_where_they_are_asked_for(
    path: str, server: httpx.Client, reranker: Reranker
) -> None:
    answered = server.post(path, json=RAW[path])
    assert answered.headers["x-resift-normalization"] == "none"
    answer = answered.json()
    if path == "/v1/rank":
        answer = answer["rankings"][0]
    listed = answer if isinstance(answer, list) else answer.get("results") or answer["data"]
    found = {x["index"]: x.get("score", x.get("relevance_score")) for x in listed}
    logits = {each.index: each.logit for each in reranker.rank(QUERY, TEXTS)}
    assert found == pytest.approx(logits, abs=1e-4)


@pytest.mark.parametrize(
    ("path", "body", "key"),
    [
        ("/v1/rerank", {**DOCUMENTS, "top_n": 2}, "results"),
        ("/v2/rerank", {**DOCUMENTS, "model": "m", "top_n": 2}, "results"),
        ("/v1/rerank", {**DOCUMENTS, "top_k": 2}, "data"),
        ("/infinity/rerank", {**DOCUMENTS, "top_n": 2}, "results"),
        ("/vllm/rerank", {**DOCUMENTS, "top_n": 2}, "results"),
        ("/rerank", {"query": QUERY, "texts": TEXTS, "top_n": 2}, None),
    ],
)
def test_top_n_in_every_word_for_it(
    path: str, body: dict[str, Any], key: str | None, server: httpx.Client
) -> None:
    answer = server.post(path, json=body).json()
    listed = answer if key is None else answer[key]
    assert [each["index"] for each in listed] == [1, 5]


DOCUMENT: dict[str, Callable[[str], Any]] = {
    "/v1/rerank": lambda text: {"text": text},
    "/rerank": lambda text: {"text": text},
    "/cohere/v1/rerank": lambda text: {"text": text},
    "/jina/v1/rerank": lambda text: {"text": text},
    "/infinity/rerank": lambda text: text,
    "/voyage/v1/rerank": lambda text: text,
    "/vllm/rerank": lambda text: {"text": text, "multi_modal": None},
}


@pytest.mark.parametrize("path", DOCUMENT)
def test_documents_come_back_as_each_client_reads_them(path: str, server: httpx.Client) -> None:
    answer = server.post(path, json={**DOCUMENTS, "return_documents": True}).json()
    for each in answer.get("results") or answer["data"]:
        assert each["document"] == DOCUMENT[path](TEXTS[each["index"]])
    plain = server.post(path, json=DOCUMENTS).json()
    shown = ["document" in each for each in plain.get("results") or plain["data"]]
    # vLLM always returns them.
    assert all(shown) if path.startswith("/vllm") else not any(shown)


def test_objects_of_version_1_come_back_as_they_were(server: httpx.Client) -> None:
    documents = [{"title": "Sorting", "text": TEXTS[1], "id": 7}, {"text": TEXTS[2]}]
    body = {"query": QUERY, "documents": documents, "return_documents": True}
    for path in ("/v1/rerank", "/cohere/v1/rerank"):
        for each in server.post(path, json=body).json()["results"]:
            assert each["document"] == documents[each["index"]]
    titled = {**body, "rank_fields": ["title", "text"], "documents": documents[:1]}
    alone = {"query": QUERY, "documents": [f"Sorting\n{TEXTS[1]}"]}
    scores = [
        results(server.post("/v1/rerank", json=each).json())[0][1] for each in (titled, alone)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_weaviates_lone_text(server: httpx.Client, reranker: Reranker) -> None:
    answer = server.post("/rerank", json={"query": QUERY, "property": TEXTS[1]}).json()
    assert answer["property"] == TEXTS[1]
    assert answer["score"] == pytest.approx(reranker.score(QUERY, TEXTS[1:2])[0], abs=1e-5)


def test_pairs_of_several_queries(server: httpx.Client, reranker: Reranker) -> None:
    queries = [QUERY, "when is the museum open"]
    body = {"queries": queries, "documents": TEXTS[1:3]}
    data = server.post("/score", json=body).json()["data"]
    wanted = [reranker.score(q, [t])[0] for q, t in zip(queries, TEXTS[1:3], strict=True)]
    assert [each["score"] for each in data] == pytest.approx(wanted, abs=1e-5)
    assert [each["index"] for each in data] == [0, 1]


def test_resifts_own_shape_says_all_that_a_ranking_does(
    server: httpx.Client, reranker: Reranker
) -> None:
    body = {
        "requests": [DOCUMENTS, {"query": "museum", "documents": [None, TEXTS[2]]}],
        "top_n": 2,
        "long_documents": "windows",
        "prior": 0.1,
        "max_documents": 5,
        "on_error": "first_stage",
        "deadline_ms": 60_000,
        "return_documents": True,
    }
    answer = server.post("/v1/rank", json=body).json()
    ranking = reranker.rank(QUERY, TEXTS, top_n=2, prior=0.1).to_dict()
    for found in answer["rankings"]:
        assert found.keys() == ranking.keys()
        assert found["timings"].keys() == ranking["timings"].keys()
        assert found["counts"].keys() == ranking["counts"].keys()
        assert len(found["results"]) == 2
    assert answer["rankings"][0]["prior"] == {"place_weight": 0.1} | answer["rankings"][0]["prior"]
    assert answer["rankings"][1]["results"][0]["document"] == TEXTS[2]


def test_resifts_own_shape_refuses_what_it_does_not_know(server: httpx.Client) -> None:
    answer = server.post("/v1/rank", json={**DOCUMENTS, "top_k": 3})
    assert answer.status_code == 422
    assert "top_k" in answer.json()["error"]
    assert "top_n" in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "more", "ignored"),
    [
        ("/v1/rerank", {"model": "rerank-v3.5", "user": "me", "top_n": 2}, {"model", "user"}),
        ("/v2/rerank", {"model": "resift-small", "priority": 3}, {"priority"}),
        ("/v2/rerank", {"model": "m", "max_tokens_per_doc": 4096}, {"model"}),
        ("/vllm/rerank", {"truncation_side": "left"}, {"truncation_side"}),
        ("/vllm/rerank", {"max_tokens_per_query": 9}, {"max_tokens_per_query"}),
        ("/infinity/rerank", {"model": "default/not-specified"}, {"model"}),
        ("/rerank", {"x\r\ny": 1}, {"x??y"}),
        ("/rerank", {}, set()),
        ("/rerank", {"top_n": None, "temperature": None}, set()),
    ],
)
def test_what_was_ignored_is_named(
    path: str, more: dict[str, Any], ignored: set[str], server: httpx.Client
) -> None:
    answer = server.post(path, json={**DOCUMENTS, **more})
    assert answer.status_code == 200
    named = answer.headers.get("x-resift-ignored", "")
    assert set(filter(None, named.split(", "))) == ignored


LONG = "The museum is closed on Mondays. " * 200


def test_cut_documents_are_counted(server: httpx.Client) -> None:
    answer = server.post("/rerank", json={"query": QUERY, "texts": [LONG, "short"]})
    assert answer.headers["x-resift-truncated"] == "1"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/rerank", {"query": QUERY, "texts": ["short", LONG], "truncate": False}),
        ("/v1/rerank", {"query": QUERY, "documents": ["short", LONG], "truncation": False}),
        ("/rerank", {"query": LONG, "texts": ["short"], "truncate": False}),
    ],
)
def test_truncation_can_be_forbidden(path: str, body: Any, server: httpx.Client) -> None:
    answer = server.post(path, json=body)
    assert answer.status_code == 422
    assert "truncation" in answer.json()["error"]
    assert LONG[:20] not in answer.text


@pytest.mark.parametrize(
    ("path", "key"), [("/v2/rerank", "max_tokens_per_doc"), ("/vllm/rerank", "max_tokens_per_doc")]
)
def test_documents_are_cut_where_a_client_says(
    path: str, key: str, server: httpx.Client, reranker: Reranker
) -> None:
    text = f"{TEXTS[2]} {TEXTS[1]}"
    body = {"model": "m", "query": QUERY, "documents": [text], key: 4}
    (score,) = reranker.score(QUERY, [text], max_document_tokens=4)
    answer = server.post(path, json=body)
    assert results(answer.json())[0][1] == pytest.approx(score, abs=1e-5)
    assert answer.headers["x-resift-truncated"] == "1"


def test_a_whole_pair_is_cut_where_vllm_says(server: httpx.Client, reranker: Reranker) -> None:
    body = {"query": QUERY, "documents": [LONG], "truncate_prompt_tokens": 64}
    (score,) = reranker.score(QUERY, [LONG], max_length=64)
    for path in ("/rerank", "/vllm/rerank"):
        assert results(server.post(path, json=body).json())[0][1] == pytest.approx(score, abs=1e-5)


def test_what_was_not_scored_is_below_the_rest_and_counted(serve: Serve) -> None:
    client = serve(Numbers(late="3"), normalization="none")
    texts = ["1", "3", "-2"]
    answer = client.post("/rerank", json={"query": "q", "texts": texts})
    assert [(x["index"], x["score"]) for x in answer.json()] == [(0, 1.0), (2, -2.0), (1, -3.0)]
    assert answer.headers["x-resift-status"] == "partial"
    assert answer.headers["x-resift-unscored"] == "1"
    own = client.post("/v1/rank", json={"query": "q", "documents": texts}).json()
    assert own["rankings"][0]["results"][-1]["score"] is None
    weaviate = client.post("/rerank", json={"query": "q", "documents": texts, "property": ""})
    assert [each["score"] for each in weaviate.json()["scores"]] == [1.0, -3.0, -2.0]


def test_a_failing_model_leaves_the_order_given_where_that_is_wanted(serve: Serve) -> None:
    client = serve(Numbers(error=OSError("gone")), on_error="first_stage")
    answer = client.post("/rerank", json={"query": "q", "texts": ["1", "3"]})
    assert [(x["index"], x["score"]) for x in answer.json()] == [(0, 0.0), (1, 0.0)]
    assert answer.headers["x-resift-status"] == "fallback"


def test_clients_that_need_all_get_all_in_spite_of_a_threshold(serve: Serve) -> None:
    client = serve(Numbers(), score_threshold=0.6)
    texts = ["1", "-5", "3"]
    assert len(client.post("/rerank", json={"query": "q", "texts": texts}).json()) == 3
    body = {"query": "q", "documents": texts}
    assert len(client.post("/rerank", json={**body, "property": ""}).json()["scores"]) == 3
    assert len(client.post("/score", json={"text_1": "q", "text_2": texts}).json()["data"]) == 3
    assert len(client.post("/v1/rerank", json=body).json()["results"]) == 2


def test_clients_that_need_all_get_what_a_cascade_left_out(serve: Serve) -> None:
    client = serve(Cascade([Numbers(), Numbers()], keep=[2]))
    texts = ["1", "-5", "3", "2"]
    answer = client.post("/rerank", json={"query": "q", "texts": texts})
    assert [each["index"] for each in answer.json()] == [2, 3, 0, 1]
    assert answer.headers["x-resift-pruned"] == "2"
    body = {"query": "q", "documents": texts}
    assert len(client.post("/rerank", json={**body, "property": ""}).json()["scores"]) == 4
    assert len(client.post("/v1/rerank", json=body).json()["results"]) == 2


def test_a_deadline_may_come_in_a_header(serve: Serve) -> None:
    class Watched(Numbers):
        def score(self, requests: Any, call: Any) -> Any:
            self.left = call.remaining
            return super().score(requests, call)

    scorer = Watched()
    client = serve(scorer)
    body = {"query": "q", "texts": ["1"]}
    client.post("/rerank", json=body, headers={"x-resift-deadline-ms": "5000"})
    assert 0 < scorer.left <= 5
    bad = client.post("/rerank", json=body, headers={"x-resift-deadline-ms": "soon"})
    assert bad.status_code == 422
    assert "soon" in bad.json()["error"]


def test_no_documents_are_no_error(server: httpx.Client) -> None:
    assert server.post("/rerank", json={"query": QUERY, "texts": []}).json() == []
    answer = server.post("/v1/rerank", json={"query": QUERY, "documents": []}).json()
    assert answer["results"] == []


def test_lone_surrogates_are_ranked(server: httpx.Client) -> None:
    raw = b'{"query": "\\ud800", "documents": ["a\\udc00", "\\u0000"], "return_documents": true}'
    answer = server.post("/v1/rerank", content=raw)
    assert answer.status_code == 200
    assert len(answer.json()["results"]) == 2


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = [
    "query", "documents", "texts", "model", "top_n", "top_k", "raw_scores", "property", "queries",
    "text_1", "text_2", "requests", "return_documents", "rank_fields", "max_tokens_per_doc",
    "truncate_prompt_tokens", "prior", "normalization", "deadline_ms", "max_length",
]  # fmt: skip
plausible = st.fixed_dictionaries(
    {"query": st.text(max_size=5), "documents": st.lists(st.text(max_size=5), max_size=3)},
    optional={name: anything for name in KEYS if name not in ("query", "documents")},
)


@settings(max_examples=150, deadline=None, suppress_health_check=[*HealthCheck])
@given(
    path=st.sampled_from(sorted(ROUTES)),
    body=st.one_of(anything, st.dictionaries(st.sampled_from(KEYS), anything), plausible),
)
def test_anything_is_ranked_or_refused(path: str, body: Any, server: httpx.Client) -> None:
    answer = server.post(path, content=json.dumps(body).encode())
    assert answer.status_code in (200, 400, 413, 422), answer.text
    if answer.status_code != 200:
        said = answer.json()["error"]
        assert (said["message"] if isinstance(said, dict) else said).strip()


@given(path=st.sampled_from(sorted(ROUTES)), body=st.dictionaries(st.sampled_from(KEYS), anything))
def test_every_body_has_one_shape(path: str, body: dict[str, Any]) -> None:
    shape = choose_shape(path, body)
    assert shape.name in {*PROTOCOLS, "common"}
    parts = path.strip("/").split("/")
    if parts[0] in ("tei", "jina", "voyage", "infinity", "weaviate"):
        assert shape.name == parts[0]


@pytest.mark.parametrize("body", [[], "text", 3, None])
def test_a_body_that_is_no_object_has_no_shape(body: Any) -> None:
    with pytest.raises(WireError, match="must be an object"):
        choose_shape("/rerank", body)
