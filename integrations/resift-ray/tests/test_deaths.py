"""A node that is killed in the middle of a load: no request is without an answer or an error."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("ray")

from clusters import cluster
from ports import free_port
from ray import serve
from resift_ray import serve as on_ray
from resift_ray.proxy import HERE, VARIABLE
from server.running import until

QUERY = "how do I sort a dictionary by value"
CLIENTS = 4
# With the actors that answer on the nodes that are killed, or only those that score.
POOL = """
[models.nano]
model = "resift-nano"
[ray.pools.workers]
models = ["nano"]
replicas = 2
resources = { worker = 1 }
"""
FRONT = """
[models.nano]
model = "resift-nano"
[ray]
replicas = 2
resources = { worker = 1 }
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def nodes() -> Iterator[tuple[Any, str]]:
    """A head with the proxy, and its address."""
    port = free_port()
    with cluster({"num_cpus": 2}, variables={VARIABLE: HERE}) as found:
        serve.start(proxy_location="HeadOnly", http_options={"host": "127.0.0.1", "port": port})
        yield found, f"http://127.0.0.1:{port}"
        serve.shutdown()


class Load:
    """Clients that ask again and again, and count what they get."""

    def __init__(self, address: str) -> None:
        self._address, self._ended = address, threading.Event()
        self.answers: Counter[int] = Counter()
        self.bodies: list[Any] = []
        self.sent = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Load:
        self._pool = ThreadPoolExecutor(CLIENTS)
        self._doing = [self._pool.submit(self._ask) for _ in range(CLIENTS)]
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for each in self._doing:
            each.result()
        self._pool.shutdown()

    def _ask(self) -> None:
        texts = [f"Text number {number} of a document about sorting." for number in range(20)]
        with httpx.Client(base_url=self._address, timeout=60) as client:
            while not self._ended.is_set():
                with self._lock:
                    self.sent += 1
                # One that is cut off, or hangs, raises.
                answer = client.post("/v1/rerank", json={"query": QUERY, "documents": texts})
                with self._lock:
                    self.answers[answer.status_code] += 1
                    self.bodies.append(answer.json())
                if answer.status_code != 200:
                    time.sleep(0.1)


def kill_one(nodes: tuple[Any, str], file: Path, text: str) -> Load:
    """Serve on two workers, and kill one of them under load; gives what the clients saw."""
    found, address = nodes
    workers = [found.add_node(num_cpus=1, resources={"worker": 1}) for _ in range(2)]
    file.write_text(text, encoding="utf-8")
    try:
        serve.run(on_ray.app(file), name="resift", route_prefix="/")
        with Load(address) as load:
            until(lambda: load.answers[200] > 10)
            found.remove_node(workers.pop(), allow_graceful=False)
            killed = load.answers[200]
            until(lambda: load.answers[200] > killed + 20)
    finally:
        serve.delete("resift")
        for each in workers:
            found.remove_node(each)
    assert load.sent == load.answers.total()
    return load


def test_a_pool_loses_a_node_and_clients_do_not_notice(
    nodes: tuple[Any, str], tmp_path: Path
) -> None:
    load = kill_one(nodes, tmp_path / "resift.toml", POOL)
    assert set(load.answers) == {200}
    first = load.bodies[0]["results"]
    found = [[x["index"] for x in each["results"]] for each in load.bodies]
    assert found == [[x["index"] for x in first]] * len(load.bodies)


def test_the_front_loses_a_node_and_each_request_has_an_answer(
    nodes: tuple[Any, str], tmp_path: Path
) -> None:
    load = kill_one(nodes, tmp_path / "resift.toml", FRONT)
    assert set(load.answers) <= {200, 500, 503}
    # What was in work there, and no more.
    assert load.answers.total() - load.answers[200] <= 2 * CLIENTS
    assert all({"error", "detail"} < each.keys() for each in load.bodies if "error" in each)
