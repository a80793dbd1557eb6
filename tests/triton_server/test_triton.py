"""A real Triton on loopback: its own client's requests, and the engine's scores."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from triton_server.running import Triton, python, triton

from resift import RemoteUnavailableError, Reranker
from resift.export import export_triton
from resift.scoring import Remote, Scorer
from resift.testing import HOSTILE_TEXTS, TEXTS, ScorerContract

pytestmark = pytest.mark.slow

QUERY = "how do I sort a dictionary by value"
# Between environments with other versions of numpy alone.
CLOSE = 1e-5


@pytest.fixture(scope="session")
def its_python() -> Path:
    found = python()
    if found is None:
        reason = "no environment .venv-triton: python dev.py test -- --slow"
        if os.environ.get("RESIFT_TEST_CLIENTS") == "required":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("triton") / "repository"
    export_triton("resift-nano", out)
    return out


@pytest.fixture(scope="module")
def server(
    its_python: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Triton]:
    with triton(repository, tmp_path_factory.mktemp("server")) as found:
        yield found


@pytest.fixture(scope="session")
def reranker() -> Reranker:
    return Reranker("resift-nano")


def asked(
    its_python: Path, server: Triton, requests: Sequence[dict[str, Any]], *, clients: int = 1
) -> list[dict[str, Any]]:
    """The answers that Triton's own client gets."""
    job = {"url": f"127.0.0.1:{server.port}", "clients": clients, "requests": requests}
    done = subprocess.run(
        [its_python, Path(__file__).with_name("asking.py")],
        input=json.dumps(job),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def request(place: int, texts: int) -> dict[str, Any]:
    """A request of so many texts that no other has."""
    return {
        "query": f"{QUERY} {place}",
        "texts": [
            f"Chapter {number} of book {place} sorts dictionaries." for number in range(texts)
        ],
    }


def check(answer: dict[str, Any], request: dict[str, Any], reranker: Reranker) -> None:
    assert "error" not in answer, answer
    logits = reranker.score(request["query"], request["texts"], normalization="none")
    assert answer["logits"] == pytest.approx(logits, abs=CLOSE)
    scores = reranker.score(request["query"], request["texts"])
    assert answer["scores"] == pytest.approx(scores, abs=CLOSE)


def test_scores_are_the_engines(its_python: Path, server: Triton, reranker: Reranker) -> None:
    texts = [*TEXTS, *(each for each in HOSTILE_TEXTS if "surrogate" not in each), TEXTS[0], ""]
    requests = [{"query": QUERY, "texts": texts}, {"query": "é", "texts": ["", "a"]}]
    for answer, each in zip(asked(its_python, server, requests), requests, strict=True):
        check(answer, each, reranker)


def test_many_clients_go_together(its_python: Path, server: Triton, reranker: Reranker) -> None:
    before = server.metrics()
    requests = [request(place, 1 + place * 7 % 13) for place in range(120)]
    for answer, each in zip(asked(its_python, server, requests, clients=16), requests, strict=True):
        check(answer, each, reranker)
    after = server.metrics()
    grown = {name: after[name] - before.get(name, 0.0) for name in after}
    assert grown["nv_inference_request_success"] == grown["nv_inference_count"] == 120
    # Of different numbers of texts, as none of one number come after each other.
    assert grown["nv_inference_exec_count"] < 60
    texts = sum(len(each["texts"]) for each in requests)
    assert grown["resift_documents_total"] == grown["resift_pairs_total"] == texts
    assert grown["resift_tokens_total"] > 10 * texts


def test_no_request_waits_beside_an_idle_model(its_python: Path, server: Triton) -> None:
    before = server.metrics()
    asked(its_python, server, [request(place, 2) for place in range(200)])
    after = server.metrics()
    waited = "nv_inference_queue_duration_us"
    # One client alone: a single stall of Triton's batcher is half a second.
    assert after[waited] - before.get(waited, 0.0) < 450_000


def test_bad_requests_fail_alone(its_python: Path, server: Triton, reranker: Reranker) -> None:
    bad = [
        ({"query": QUERY, "texts": ["a", "\ud800"]}, "a text of texts isn't UTF-8"),
        ({"query": QUERY, "texts": ["a"] * 1001}, "1001 texts; expected at most 1000"),
        ({"query": " ", "texts": ["a"]}, "query must not be empty"),
    ]
    good = [request(place, 5) for place in range(24)]
    mixed = [each for place in range(24) for each in (good[place], bad[place % 3][0])]
    answers = asked(its_python, server, mixed, clients=8)
    for place in range(24):
        check(answers[2 * place], good[place], reranker)
        refused = answers[2 * place + 1]
        assert refused["status"] == "400"
        assert bad[place % 3][1] in refused["error"]


def test_what_comes_too_late_is_said(its_python: Path, server: Triton, reranker: Reranker) -> None:
    long = request(0, 900)
    hopeless, late, fine = asked(
        its_python, server, [{**long, "timeout": 1}, {**long, "timeout": 60_000}, request(1, 3)]
    )
    assert hopeless["status"] == late["status"] == "503"
    assert "time was up" in late["error"] or "expired" in late["error"]
    check(fine, request(1, 3), reranker)


def test_what_the_readme_says_works(
    its_python: Path, server: Triton, repository: Path, reranker: Reranker
) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8")
    readme = readme.replace("localhost:8000", f"127.0.0.1:{server.port}")
    theirs, ours, _ = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)
    texts = ["Use sorted.", "Bread."]
    wanted = reranker.score("how do I sort a dict", texts)
    done = subprocess.run([its_python, "-c", theirs], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert [float(each) for each in done.stdout.strip(" []\n").split()] == pytest.approx(
        wanted, rel=1e-3
    )
    names: dict[str, Any] = {"print": lambda each: names.update(printed=each)}
    exec(ours, names)
    assert [each.index for each in names["printed"]] == [1, 0]
    (curl,) = re.findall(r"```bash\ncurl (.*?)```", readme, re.DOTALL)
    url, _, body = shlex.split(curl)
    status, said = server.post("/" + url.partition("/")[2], json.loads(body))
    assert (status, [each["name"] for each in said["outputs"]]) == (200, ["scores"])
    assert said["outputs"][0]["data"] == pytest.approx(wanted, abs=CLOSE)


def remote(server: Triton, **options: Any) -> Remote:
    return Remote(server.url, protocol="kserve-v2", model="resift", **options)


class TestAsAScorer(ScorerContract):
    query = QUERY
    texts = tuple(TEXTS)

    @pytest.fixture(autouse=True)
    def _served(self, server: Triton) -> None:
        self.server = server

    def build(self) -> Scorer:
        return remote(self.server)


def test_a_remote_is_as_a_model_here(server: Triton, reranker: Reranker) -> None:
    there = Reranker(scorer=remote(server))
    texts = [*TEXTS, *HOSTILE_TEXTS, *request(0, 1500)["texts"]]
    found, expected = there.rank(QUERY, texts, top_n=50), reranker.rank(QUERY, texts, top_n=50)
    assert [each.index for each in found] == [each.index for each in expected]
    for name in ("score", "logit"):
        numbers = [[getattr(each, name) for each in ranking] for ranking in (found, expected)]
        assert numbers[0] == pytest.approx(numbers[1], abs=CLOSE)
    assert (found.backend, found.scale, found.status) == ("kserve-v2", "logit", "complete")
    assert found.revision == expected.revision
    late = there.rank(QUERY, texts, deadline_ms=30)
    assert late.status == "partial"


@pytest.fixture(scope="module")
def small(
    its_python: Path, repository: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Triton]:
    """A server in whose queue two requests may wait."""
    out = tmp_path_factory.mktemp("small") / "repository"
    export_triton("resift-nano", out, threads=1)
    config = out / "resift/config.pbtxt"
    text = config.read_text(encoding="utf-8")
    for old, new in (
        ("max_batch_size: 8", "max_batch_size: 1"),
        ("max_queue_size: 64", "max_queue_size: 2"),
    ):
        assert old in text
        text = text.replace(old, new)
    config.write_text(text, encoding="utf-8")
    with triton(out, tmp_path_factory.mktemp("small-server")) as found:
        yield found


def test_a_full_queue_answers_at_once(its_python: Path, small: Triton, reranker: Reranker) -> None:
    requests = [request(place, 120) for place in range(40)]
    # Nothing is told of it before the first.
    before = small.metrics().get("resift_documents_total", 0)
    answers = asked(its_python, small, requests, clients=20)
    refused = [each for each in answers if "error" in each]
    assert 0 < len(refused) < 40
    assert {each["status"] for each in refused} == {"503"}
    assert all("queue" in each["error"] for each in refused)
    for answer, each in zip(answers, requests, strict=True):
        if "error" not in answer:
            check(answer, each, reranker)
    # Both instances count into one metric.
    ranked = small.metrics()["resift_documents_total"] - before
    assert ranked == 120 * (40 - len(refused))


def test_a_remote_tries_again_where_the_queue_is_full(small: Triton, reranker: Reranker) -> None:
    patient = Reranker(scorer=remote(small, attempts=20))
    requests = [request(place, 60) for place in range(24)]
    with ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda each: patient.score(each["query"], each["texts"]), requests))
    for scores, each in zip(found, requests, strict=True):
        expected = reranker.score(each["query"], each["texts"])
        assert scores == pytest.approx(expected, abs=CLOSE)
    hasty = Reranker(scorer=remote(small, attempts=1))

    def ask(each: dict[str, Any]) -> RemoteUnavailableError | None:
        try:
            hasty.score(each["query"], each["texts"])
        except RemoteUnavailableError as error:
            return error
        return None

    with ThreadPoolExecutor(16) as pool:
        errors = [each for each in pool.map(ask, [request(1, 200)] * 32) if each]
    assert errors
    assert {each.status for each in errors} <= {503, None}


def test_a_wrong_parameter_is_told_at_the_start(
    its_python: Path, repository: Path, tmp_path: Path
) -> None:
    export_triton("resift-nano", tmp_path / "repository")
    config = tmp_path / "repository/resift/config.pbtxt"
    text = config.read_text(encoding="utf-8") + (
        'parameters { key: "thread" value { string_value: "2" } }\n'
    )
    config.write_text(text, encoding="utf-8")
    with (
        pytest.raises(RuntimeError, match="'thread' is no parameter; expected one of"),
        triton(tmp_path / "repository", tmp_path),
    ):
        pass
