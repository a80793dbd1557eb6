"""A server's recording of its traffic, for which nobody waits and nobody is refused."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from server.running import until
from server.served import Served
from server.served import serve as served
from starlette.testclient import TestClient

from resift import InvalidRequestError
from resift.cli.main import main
from resift.recording import Recorder
from resift.server import recording
from resift.server.app import Server
from resift.server.config import Config

DOCUMENTS = ["The museum is closed on Mondays.", "Use sorted with a key function.", "Bread rises."]
QUERIES = ["how do I sort a dictionary", "when is the museum closed"]

Written = Callable[..., Path]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    """Writes a configuration with these lines in its table ``[record]``."""

    def write(*lines: str) -> Path:
        path = tmp_path / "resift.toml"
        text = "\n".join(["[server]", "drain_seconds = 0", "[record]", *lines])
        path.write_text(f'{text}\n[models.nano]\nmodel = "resift-nano"\n', encoding="utf-8")
        return path

    return write


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def recorded(running: Served, result: str) -> float:
    return running.metrics()[f'resift_recorded_total{{result="{result}"}}']


def ask(running: Served, query: str, **more: Any) -> dict[str, Any]:
    body = {"query": query, "documents": DOCUMENTS, **more}
    answer = running.http.post("/v1/rank", json=body)
    assert answer.status_code == 200, answer.text
    (ranking,) = answer.json()["rankings"]
    return dict(ranking)


def test_what_is_recorded_can_be_evaluated(
    written: Written, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "traffic.jsonl"
    config = written(f"file = {json.dumps(str(path))}", "rate = 1.0", "text = true")
    with served("--config", str(config)) as running:
        answers = [ask(running, query, top_n=2) for query in QUERIES]
        # Another server's shape; and what isn't ranked.
        texts = {"query": "bread", "texts": DOCUMENTS}
        assert running.http.post("/rerank", json=texts).status_code == 200
        assert running.http.post("/rerank", json={"query": " ", "texts": ["a"]}).status_code >= 400
        # At once, so that the last line is written at the end.
        assert running.stop() == 0
    lines = lines_of(path)
    assert [line["query"] for line in lines] == [*QUERIES, "bread"]
    for line, answer in zip(lines, answers, strict=False):
        assert line["model"] == "resift-nano"
        assert [each["text"] for each in line["candidates"]] == DOCUMENTS
        ranks = {each["index"]: place for place, each in enumerate(answer["results"], start=1)}
        found = [each["rank"] for each in line["candidates"]]
        assert found == [ranks.get(index) for index in range(3)]
        assert found.count(None) == 1
        scores = {each["index"]: each["score"] for each in answer["results"]}
        for index, score in scores.items():
            assert line["candidates"][index]["rank_score"] == pytest.approx(score)
    out = tmp_path / "report"
    assert main(["evaluate", str(path), "--ranker", "resift-nano", "--out", str(out)]) == 0
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert '"queries": 3' in json.dumps(report)
    capsys.readouterr()


def test_first_stage_scores_are_recorded_and_no_text_unless_it_is_asked_for(
    written: Written, tmp_path: Path
) -> None:
    path, salt = tmp_path / "traffic.jsonl", tmp_path / "salt"
    salt.write_text("a salt of more than 16 characters\n", encoding="utf-8")
    where = [f"file = {json.dumps(str(path))}", f"salt_file = {json.dumps(str(salt))}"]
    config = written(*where, "rate = 1.0")
    with served("--config", str(config)) as running:
        scored = {"query": "bread", "documents": DOCUMENTS, "first_stage_scores": [0, 1, 2]}
        assert running.http.post("/v1/rank", json={"requests": [scored]}).status_code == 200
        until(lambda: recorded(running, "written") == 1)
    (line,) = lines_of(path)
    assert line["query"] is None
    assert [each["score"] for each in line["candidates"]] == [0.0, 1.0, 2.0]
    assert "bread" not in path.read_text(encoding="utf-8").casefold()
    # The hashes are those of this salt, and it isn't written anywhere.
    own = Recorder(tmp_path / "own.jsonl", salt="a salt of more than 16 characters")
    assert line["query_id"] == own.query_id("bread")
    assert not path.with_name("traffic.jsonl.salt").exists()


def test_a_share_is_recorded_and_nothing_by_default(written: Written, tmp_path: Path) -> None:
    path, salt = tmp_path / "traffic.jsonl", "0123456789abcdef"
    (tmp_path / "salt").write_text(salt, encoding="utf-8")
    rows = [f"file = {json.dumps(str(path))}", f"salt_file = {json.dumps(str(tmp_path / 'salt'))}"]
    queries = [f"query {n}" for n in range(40)]
    own = Recorder(tmp_path / "own.jsonl", rate=0.3, salt=salt)
    for query in queries:
        own.record(query, [])
    wanted = [each["query_id"] for each in lines_of(tmp_path / "own.jsonl")]
    assert 0 < len(wanted) < 40
    with served("--config", str(written(*rows, "rate = 0.3"))) as running:
        for query in queries:
            ask(running, query)
        until(lambda: recorded(running, "written") == len(wanted))
        assert running.stop() == 0
    assert [line["query_id"] for line in lines_of(path)] == wanted
    path.unlink()
    with served("--config", str(written())) as running:
        ask(running, QUERIES[0])
        assert recorded(running, "written") == 0
        assert running.stop() == 0
    assert not path.exists()


def test_a_disk_that_fails_fails_no_request(written: Written, tmp_path: Path) -> None:
    path = tmp_path / "traffic.jsonl"
    config = written(f"file = {json.dumps(str(path))}", "rate = 1.0")
    with served("--config", str(config)) as running:
        path.mkdir()
        for query in QUERIES:
            ask(running, query)
        until(lambda: recorded(running, "failed") == 2)
        assert recorded(running, "written") == 0
        assert running.log.count("wasn't recorded") == 1
        assert QUERIES[0] not in running.log


class Stuck:
    """A recorder whose disk doesn't answer until it is let."""

    def __init__(self) -> None:
        self.path = Path("stuck.jsonl")
        self.written = self.failed = 0
        self.let = threading.Event()

    def record(self, *_: Any, **_more: Any) -> None:
        assert self.let.wait(60)
        self.written += 1


def test_a_disk_that_hangs_delays_no_request(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = Stuck()
    monkeypatch.setattr("resift.server.app.recorder_of", lambda _record: stuck)
    client: httpx.Client = serve(model="resift-nano")
    more = 3
    try:
        for _ in range(recording._MOST_WAITING + more):
            body = {"query": "bread", "documents": ["Bread rises."]}
            assert client.post("/v1/rank", json=body).status_code == 200
        text = client.get("/metrics").text
        assert f'resift_recorded_total{{result="dropped"}} {more}.0' in text
    finally:
        stuck.let.set()
    until(lambda: stuck.written == recording._MOST_WAITING)
    # There is room again.
    client.post("/v1/rank", json={"query": "bread", "documents": ["Bread rises."]})
    until(lambda: stuck.written == recording._MOST_WAITING + 1)
    assert f'result="dropped"}} {more}.0' in client.get("/metrics").text


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('file = "not/there/traffic.jsonl"', "must be a file in a folder that exists"),
        ('file = "traffic.jsonl"\nrate = 2.0', "rate must be a number from 0 to 1"),
        ('file = "traffic.jsonl"\nsalt_file = "not-there"', "salt_file not-there can't be read"),
        ('salt = "sentinel-7f3a9c21"', "did you mean 'salt_file'"),
        ("keep = 0", "keep must be"),
        ("texts = true", "did you mean 'text'"),
    ],
)
def test_a_wrong_table_is_refused_at_start(written: Written, line: str, said: str) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        Config.read(written(*line.split("\n")))
    message = str(caught.value)
    assert said in message
    assert "sentinel" not in message
    assert f"resift.toml:{3 + len(line.splitlines())}: " in message


def test_the_end_of_an_app_is_the_end_of_its_recording(
    written: Written, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Recorder.record

    def slowly(*given: Any, **more: Any) -> None:
        time.sleep(0.3)
        record(*given, **more)

    monkeypatch.setattr(Recorder, "record", slowly)
    path = tmp_path / "traffic.jsonl"
    config = Config.read(written(f"file = {json.dumps(str(path))}", "rate = 1.0"))
    with TestClient(Server.of(config).app) as client:
        for query in QUERIES:
            body = {"query": query, "documents": DOCUMENTS}
            assert client.post("/v1/rank", json=body).status_code == 200
    # The interpreter, which would wait for the thread, goes on.
    assert len(lines_of(path)) == len(QUERIES)
