"""Triton with resift in its Python backend, and ``resift serve``: the same requests, by turns.

    python dev.py test -- --slow tests/triton_server     once, for Triton's environment
    python benchmarks/scale/triton_beside.py --rounds 5

Clients send their next request when they have their answer. Both servers have the same model and
as many threads, and each request is of texts that no other has. Prints a table of medians.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path
from urllib.request import urlopen

from resift import Reranker
from resift.export import export_triton
from resift.protocols import PROTOCOLS, WireQuery, WireRequest, dumps

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(1, str(ROOT / "tests"))

from ports import free_port  # noqa: E402
from triton_server import running  # noqa: E402

CLIENTS = (1, 4, 8)
# Documents of a request, and the words of each.
WORKLOADS = {"5 short": (5, (8, 16)), "20 of 40 to 200 words": (20, (40, 200))}
WORDS = ["sort", "a", "dict", "by", "its", "value", "and", "key", "then", "read", "next", "line"]


@dataclass
class Server:
    """A server that is up, and what was measured of it."""

    name: str
    port: int
    path: str
    protocol: str
    rates: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    times: dict[tuple[str, int], list[float]] = field(default_factory=dict)

    def measure(self, workload: str, clients: int, seconds: float, seed: int) -> None:
        """Let clients send as fast as they get answers; adds the rate and every time."""
        until = time.perf_counter() + seconds
        found: list[float] = []
        errors: list[str] = []

        def send(number: int) -> None:
            make = requests(workload, self.protocol, seed=1000 * seed + number)
            connection = HTTPConnection("127.0.0.1", self.port, timeout=60)
            while time.perf_counter() < until:
                body = next(make)
                start = time.perf_counter()
                connection.request("POST", self.path, body, {"Content-Type": "application/json"})
                answer = connection.getresponse()
                said = answer.read()
                if answer.status != 200:
                    errors.append(f"{answer.status}: {said[:200]!r}")
                    return
                found.append(time.perf_counter() - start)
            connection.close()

        start = time.perf_counter()
        threads = [threading.Thread(target=send, args=(number,)) for number in range(clients)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        if errors:
            raise RuntimeError(f"{self.name}: {errors[0]}")
        rate = len(found) / (time.perf_counter() - start)
        self.rates.setdefault((workload, clients), []).append(rate)
        self.times.setdefault((workload, clients), []).extend(found)


def requests(workload: str, protocol: str, *, seed: int) -> Iterator[bytes]:
    """Bodies of requests without end."""
    count, (least, most) = WORKLOADS[workload]
    numbers = random.Random(seed)
    while True:
        texts = tuple(
            " ".join(numbers.choices(WORDS, k=numbers.randint(least, most))) for _ in range(count)
        )
        query = WireQuery(query="how do I sort a dict by its value", documents=texts)
        asked = WireRequest(queries=(query,), normalization="none")
        yield dumps(PROTOCOLS[protocol].encode_request(asked))


@contextmanager
def resift_serve(folder: Path, threads: int) -> Iterator[Server]:
    """``resift serve`` on a free port."""
    port = free_port()
    start = "import sys; from resift.cli.main import main; sys.exit(main())"
    words = ["serve", "--port", str(port), "--threads", str(threads)]
    with (folder / "serve.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", start, *words], stdout=log, stderr=subprocess.STDOUT
        )
    try:
        while process.poll() is None:
            try:
                urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=2).close()
                break
            except OSError:
                time.sleep(0.1)
        yield Server("resift serve", port, "/tei/rerank", "tei")
    finally:
        process.terminate()
        process.wait(30)


@contextmanager
def in_triton(folder: Path, instances: int, threads: int) -> Iterator[Server]:
    """Triton on free ports, with so many instances of so many threads each."""
    export_triton("resift-small", folder / "repository", threads=threads)
    config = folder / "repository/resift/config.pbtxt"
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace("count: 2", f"count: {instances}"), encoding="utf-8")
    with running.triton(folder / "repository", folder) as server:
        yield Server("Triton", server.port, "/v2/models/resift/infer", "kserve-v2")


def check(server: Server) -> None:
    """Compare the answer to one request with the engine's. Raises ``RuntimeError``."""
    body = next(requests("5 short", server.protocol, seed=0))
    connection = HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", server.path, body, {"Content-Type": "application/json"})
    shape = PROTOCOLS[server.protocol]
    asked = shape.decode_request(json.loads(body))
    response = shape.decode_response(json.loads(connection.getresponse().read()), asked)
    connection.close()
    expected = Reranker().score(asked.query.query, asked.query.documents, normalization="none")
    found = {each.index: each.score or 0.0 for each in response.result.scores}
    if any(abs(found[place] - logit) > 1e-4 for place, logit in enumerate(expected)):
        raise RuntimeError(f"{server.name} gave {found}; expected {expected}")


def main() -> int:
    """Measure, and print a table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of each measurement")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--instances",
        metavar="COUNT,THREADS",
        default="2,2",
        help="instances of the model in Triton, and the threads of each (default: %(default)s)",
    )
    parsed = parser.parse_args()
    if running.python() is None:
        sys.exit("no environment .venv-triton: python dev.py test -- --slow tests/triton_server")
    with (
        tempfile.TemporaryDirectory() as folder,
        resift_serve(Path(folder), parsed.threads) as serve,
        in_triton(Path(folder), *map(int, parsed.instances.split(","))) as triton,
    ):
        servers = [serve, triton]
        for each in servers:
            check(each)
            each.measure("5 short", 2, 1.0, 0)
            each.rates.clear()
            each.times.clear()
        for number in range(parsed.rounds):
            # By turns, and the other first every second round.
            for workload in WORKLOADS:
                for clients in CLIENTS:
                    for each in servers if number % 2 else reversed(servers):
                        each.measure(workload, clients, parsed.seconds, number + 1)
    sys.stdout.write(table(serve, triton))
    return 0


def table(serve: Server, triton: Server) -> str:
    """Rates and times side by side; the ratio is the median of the rounds' ratios."""
    lines = [
        "| documents | clients | serve, req/s | Triton, req/s | ratio | p50, ms | p95, ms |",
        "|---|---|---|---|---|---|---|",
    ]
    for key, theirs in triton.rates.items():
        ours = serve.rates[key]
        ratio = statistics.median(a / b for a, b in zip(theirs, ours, strict=True))
        spread = [a / b for a, b in zip(theirs, ours, strict=True)]
        cells = [
            *map(str, key),
            *(f"{statistics.median(each):.1f}" for each in (ours, theirs)),
            f"{ratio:.2f} ({min(spread):.2f} to {max(spread):.2f})",
            *(_pair(share, serve.times[key], triton.times[key]) for share in (0.5, 0.95)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _pair(share: float, *samples: list[float]) -> str:
    quantile: Callable[[list[float]], float] = lambda each: sorted(each)[int(share * len(each))]  # noqa: E731
    return ", ".join(f"{1000 * quantile(each):.1f}" for each in samples)


if __name__ == "__main__":
    sys.exit(main())
