"""The application on a cluster of two nodes: what clients see, through Ray's own proxy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("ray")

from clusters import Gate, cluster, gated, paths
from ports import free_port
from ray import serve
from resift_ray import serve as on_ray
from resift_ray.proxy import HERE, VARIABLE
from server.running import PATIENCE, until
from server.shapes.bodies import DOCUMENTS, QUERY, TEXTS
from server.shapes.test_documents import (  # noqa: F401
    test_cut_documents_are_counted,
    test_documents_are_cut_where_a_client_says,
    test_documents_come_back_as_each_client_reads_them,
    test_objects_of_version_1_come_back_as_they_were,
    test_truncation_can_be_forbidden,
)
from server.shapes.test_own_shape import (  # noqa: F401
    test_resifts_own_shape_refuses_what_it_does_not_know,
    test_resifts_own_shape_says_all_that_a_ranking_does,
    test_what_was_ignored_is_named,
)
from server.shapes.test_scores import (  # noqa: F401
    test_logits_are_given_where_they_are_asked_for,
    test_lone_surrogates_are_ranked,
    test_no_documents_are_no_error,
    test_order_and_scores_are_the_engines,
    test_pairs_of_several_queries,
    test_top_n_in_every_word_for_it,
    test_weaviates_lone_text,
)

from resift import Reranker
from resift.backends import BACKENDS, BackendEntry
from resift.scoring import Cascade, Local

MAIN = """
[models.resift-small]
model = "resift-small"
default = true
[models.resift-nano]
model = "resift-nano"
preload = true
[models.both]
cascade = ["resift-nano", "resift-small"]
keep = [3]
[ray]
num_cpus = 2
[ray.pools.large]
models = ["resift-small"]
resources = { large = 1 }
"""
GATED = """
[server]
url_prefix = "/gated"
[limits]
pairs = 400
[models.nano]
model = "resift-nano"
backend = "gated"
max_batch_tokens = 256
[ray]
num_cpus = 2
max_ongoing_requests = 3
max_queued_requests = 1
target_ongoing_requests = 2
"""
ANSWERED = {200, 429}


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return gated(tmp_path_factory.mktemp("gated"))


@pytest.fixture(scope="module")
def address(gate: Gate) -> Iterator[str]:
    """Two nodes, and the proxy of the first; what is of the gate is added to all processes."""
    port = free_port()
    variables = {"RESIFT_TEST_GATE": str(gate.folder), VARIABLE: HERE}
    nodes = {"num_cpus": 6}, {"num_cpus": 2, "resources": {"large": 1}}
    with cluster(*nodes, variables={**variables, **paths(gate.folder.parent)}):
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
        yield f"http://127.0.0.1:{port}"
        serve.shutdown()


@pytest.fixture(scope="module")
def server(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """A client of an application whose default model is on the other node, in a pool."""
    file = tmp_path_factory.mktemp("main") / "resift.toml"
    file.write_text(MAIN, encoding="utf-8")
    serve.run(on_ray.app(file), name="main", route_prefix="/")
    with httpx.Client(base_url=address, timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="module")
def reranker() -> Reranker:
    return Reranker()


@pytest.fixture
def client(
    address: str, gate: Gate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx.Client]:
    """A client of the application that waits to be let, as new."""
    entry = BackendEntry(
        "none", "None", requires=[], install="", devices=["cpu"], formats=["onnx"], runs={}
    )
    monkeypatch.setitem(BACKENDS, "gated", entry)
    monkeypatch.setattr(on_ray, "_HEALTH_PERIOD", 0.5)
    if "gated" not in serve.status().applications:
        file = tmp_path / "resift.toml"
        file.write_text(GATED, encoding="utf-8")
        serve.run(on_ray.app(file), name="gated", route_prefix="/gated")
    with httpx.Client(base_url=f"{address}/gated", timeout=PATIENCE) as client:
        yield client


def body(documents: int = 1) -> dict[str, Any]:
    return {"query": QUERY, "documents": [f"Text number {n}." for n in range(documents)]}


def test_a_cascade_over_two_deployments_is_that_of_one_process(server: httpx.Client) -> None:
    here = Reranker(scorer=Cascade([Local(model="resift-nano"), Local(model="resift-small")], [3]))
    answer = server.post("/v1/rank", json={**DOCUMENTS, "model": "both"}).json()["rankings"][0]
    expected = here.rank(QUERY, TEXTS)
    found = [(each["index"], each["score"]) for each in answer["results"]]
    assert found == [(each.index, each.score) for each in expected]
    assert [each["model"] for each in answer["stages"]] == ["resift-nano", "resift-small"]


def test_models_are_found_by_name_wherever_they_are(server: httpx.Client) -> None:
    for name in ("resift-nano", "resift-small"):
        expected = Reranker(name).rank(QUERY, TEXTS)
        answer = server.post("/v2/rerank", json={**DOCUMENTS, "model": name}).json()
        found = [(each["index"], each["relevance_score"]) for each in answer["results"]]
        assert found == [(each.index, each.score) for each in expected]
    names = {each["id"]: each["kind"] for each in server.get("/v1/models").json()["data"]}
    assert names == {"resift-small": "local", "resift-nano": "local", "both": "cascade"}
    assert server.get("/health/ready").status_code == 200


def test_threads_are_the_cpus_of_an_actor(client: httpx.Client, gate: Gate) -> None:
    assert client.post("/v1/rank", json=body()).status_code == 200
    assert set(gate.made.values()) == {"2 2"}


def test_what_is_too_much_is_refused_and_nothing_hangs(client: httpx.Client, gate: Gate) -> None:
    with ThreadPoolExecutor(10) as pool:
        with gate.held():
            doing = [pool.submit(client.post, "/v1/rerank", json=body()) for _ in range(10)]
            until(lambda: sum(each.done() for each in doing) >= 4)
        answers = [each.result() for each in doing]
    statuses = [each.status_code for each in answers]
    assert set(statuses) == ANSWERED, [each.text for each in answers]
    # What an actor has in work, and what waits in front of it, which Ray counts a little late.
    assert 3 <= statuses.count(200) <= 6
    refused = next(each for each in answers if each.status_code == 429)
    assert refused.headers["retry-after"] == "1"
    assert {"error", "message", "detail"} < refused.json().keys()
    assert client.post("/v1/rerank", json=body()).status_code == 200


def test_the_servers_own_admission_refuses(client: httpx.Client, gate: Gate) -> None:
    with ThreadPoolExecutor(1) as pool:
        before = gate.passes
        with gate.held():
            first = pool.submit(client.post, "/v1/rerank", json=body(300))
            until(lambda: gate.passes > before)
            second = client.post("/v1/rerank", json=body(200))
        assert first.result().status_code == 200
    assert second.status_code == 429
    assert "300 pairs" in second.json()["detail"]


def test_a_client_that_leaves_stops_its_work(client: httpx.Client, gate: Gate) -> None:
    before = gate.passes
    assert client.post("/v1/rerank", json=body(300)).status_code == 200
    whole = gate.passes - before
    assert whole > 12
    before = gate.passes
    with gate.held():
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/rerank", json=body(300), timeout=httpx.Timeout(PATIENCE, read=1.0))
        until(lambda: in_work(client) == 0)
    assert client.post("/v1/rerank", json=body()).status_code == 200
    assert gate.passes - before < whole / 2


def in_work(client: httpx.Client) -> float:
    lines = client.get("/metrics").text.splitlines()
    return float(next(x.split()[1] for x in lines if x.startswith("resift_pairs_in_work ")))


def test_a_busy_actor_stays_and_a_broken_one_is_replaced(client: httpx.Client, gate: Gate) -> None:
    assert client.post("/v1/rerank", json=body()).status_code == 200
    (actor,) = [each for each in gate.made if Path(f"/proc/{each}").exists()]
    with ThreadPoolExecutor(1) as pool:
        with gate.held():
            first = pool.submit(client.post, "/v1/rerank", json=body())
            time.sleep(2)
        assert first.result().status_code == 200
    assert Path(f"/proc/{actor}").exists()
    gate.break_in(actor)
    assert client.post("/v1/rerank", json=body()).status_code == 500
    until(lambda: len(gate.made) > 1 and not Path(f"/proc/{actor}").exists())
    until(lambda: client.post("/v1/rerank", json=body()).status_code == 200)


def test_what_was_accepted_is_answered_when_it_shuts_down(client: httpx.Client, gate: Gate) -> None:
    with ThreadPoolExecutor(2) as pool:
        before = gate.passes
        with gate.held():
            accepted = pool.submit(client.post, "/v1/rerank", json=body(3))
            until(lambda: gate.passes > before)
            ending = pool.submit(serve.delete, "gated")
            time.sleep(1)
            assert not ending.done()
        assert accepted.result().status_code == 200
        ending.result()
