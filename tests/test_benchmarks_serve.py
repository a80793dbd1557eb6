"""benchmarks/serve.py, with resift from this Python."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from sources import BENCHMARKS


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGSTOP there")
def test_a_server_is_measured_beside_its_engine_and_in_trouble(tmp_path: Path) -> None:
    command = [sys.executable, str(BENCHMARKS / "serve.py"), "--here", "--quick"]
    what = ["--servers", "resift-int8", "--workloads", "5 short", "--model", "resift-nano"]
    folders = ["--class", "any", "--out", str(tmp_path), "--envs", str(tmp_path / "envs")]
    done = subprocess.run([*command, *what, *folders], stderr=subprocess.PIPE, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "serve.json").read_text(encoding="utf-8"))
    assert results["failed"] == {}
    assert [run["what"] for run in results["runs"]] == ["alone", "saturated", "open"]
    for run in results["runs"]:
        assert run["figures"]["errors"] == []
        assert run["figures"]["latencies"]
    (overhead,) = results["overhead"]
    assert len(overhead["one"]) == 2
    assert all(0 < x["client"] < x["processor"].get("http", 1) for x in overhead["many"])
    assert [each["errors"] for each in overhead["many"]] == [0]
    trouble = results["trouble"]
    assert [each["status"] for each in trouble["too much"]] == [413, 413, 400, 422, 400]
    assert all(each["right"] for each in trouble["too much"])
    assert trouble["soak"]["errors"] == []
    term = trouble["term"]
    assert term["right"], term
    # What it had in work is answered.
    assert term["answers"]["200"] >= term["in_work"] > 0
    assert sum(term["answers"].values()) == 50
    page = (tmp_path / "serve.md").read_text(encoding="utf-8")
    for title in ("equal p95", "Closed loop", "Open loop", "What HTTP costs", "Trouble"):
        assert title in page
    assert str(tmp_path) not in page


def test_throughput_is_read_where_p95_meets_the_bound(
    module: Callable[[str], ModuleType],
) -> None:
    bound = module("bound")
    points = [(1.0, 0.1), (2.0, 0.2), (4.0, 0.8)]
    assert bound.within(points, 1.0, 0.05) == 4.0
    # Half of the way from .2 to .8, as a factor.
    assert bound.within(points, 0.4, 0.05) == pytest.approx(3.0)
    assert bound.within(points, 0.2, 0.05) == 2.0
    # Half of the way from one caller to the lowest rate.
    assert bound.within([(3.0, 0.8)], 0.4, 0.2) == pytest.approx(1.5)
    # A server that gives up does less at the higher rate.
    assert bound.within([(2.0, 0.1), (1.5, 0.2)], 0.15, 0.05) == 2.0
    assert bound.within([(2.0, 0.1), (1.5, 0.2)], 0.5, 0.05) == 2.0
    assert bound.bound_of({"a": [0.1] * 20, "b": [0.3] * 20}) == pytest.approx(0.6)


def test_the_faster_fastapi_alone_is_tried_at_rates(module: Callable[[str], ModuleType]) -> None:
    rates = {"resift-int8": 9.0, "infinity": 1.0, "fastapi": 2.0, "fastapi-queued": 3.0}
    assert module("bound").fastest(rates) == {"resift-int8", "infinity", "fastapi-queued"}
    assert module("bound").fastest({"infinity": 1.0}) == {"infinity"}


def run(server: str, what: str, latencies: list[float], **figures: Any) -> dict[str, Any]:
    said = {"latencies": latencies, "errors": [], "rate": 1.0, **figures}
    return {"workload": "5 short", "server": server, "round": 0, "what": what, "figures": said}


def test_rounds_are_put_together_and_the_bound_is_of_the_slowest(
    module: Callable[[str], ModuleType],
) -> None:
    open_ = [("resift-int8", 0.5, 8.0), ("infinity", 0.5, 2.0), ("infinity", 0.9, 3.0)]
    results = {
        "runs": [
            run("resift-int8", "alone", [0.1]),
            run("infinity", "alone", [0.5]),
            *(
                run(name, "open", [share], share=share, throughput=done + number)
                for name, share, done in open_
                for number in (0, 1, 2)
            ),
        ]
    }
    report = module("serve_report")
    curve = report.curves(results, "5 short")["infinity"]
    assert curve == [(3.0, [0.5] * 3), (4.0, [0.9] * 3)]
    bound, found = report.equal_p95(results, "5 short")
    assert bound == 1.0
    assert found == {"resift-int8": 9.0, "infinity": 4.0}


def test_answers_that_are_cut_off_are_errors(module: Callable[[str], ModuleType]) -> None:
    posting = module("posting")

    async def post(answer: bytes) -> bytes:
        async def serve(reader: Any, writer: Any) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            client = posting.Client(server.sockets[0].getsockname()[1])
            try:
                body: bytes = await client.post(posting.request_of("/", b""))
            finally:
                await client.close()
            return body

    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    assert asyncio.run(post(head + b"{}")) == b"{}"
    for cut in (b"", head[:20], head, head + b"{"):
        with pytest.raises((OSError, EOFError)):
            asyncio.run(post(cut))
    with pytest.raises(OSError, match="status 429: slowly"):
        asyncio.run(post(b"HTTP/1.1 429 No\r\nContent-Length: 6\r\n\r\nslowly"))
