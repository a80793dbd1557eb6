"""``resift evaluate`` with a server's models: of its configuration, and of a running one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from remote import loopback
from server.running import configured, serving
from trials.made import folder

from resift import Reranker
from resift.cli.main import main
from resift.scoring import Cached, Call, Local, Request, Scored
from resift.server.app import Server
from resift.trials.rankers import Rankers

QUERIES = 6
CONFIG = """
[models.nano]
model = "resift-nano"

[models.small]
model = "resift-small"

[models.both]
cascade = ["nano", "small"]
keep = [4]

[models.there]
remote = "{url}"
protocol = "tei"
attempts = 1

[models.gone]
remote = "http://127.0.0.1:9"
protocol = "tei"
attempts = 1

[models.safe]
fallback = ["gone", "nano"]

[models.kept]
cached = "small"
"""


class Counted:
    """A scorer that counts the texts that it is given."""

    def __init__(self, scorer: Local) -> None:
        self.scorer, self.texts = scorer, 0
        self.source = scorer.source

    def warm_up(self, call: Call) -> None:
        self.scorer.warm_up(call)

    def digest(self, call: Call) -> str:
        return "counted"

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:
        self.texts += sum(len(each.texts) for each in requests)
        return self.scorer.score(requests, call)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folder(tmp_path_factory.mktemp("served") / "c", queries=QUERIES, documents=60, found=12)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving(Server.of(configured(model="resift-nano"))) as found:
        yield found


def evaluated(made: Path, out: Path, *arguments: str) -> dict[str, Any]:
    assert main(["evaluate", str(made), "--out", str(out), "--tried", "0", *arguments]) == 0
    content: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    return content


def by_name(content: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {each["name"]: each for each in content["rankers"]}


def test_models_of_a_configuration(made: Path, address: str, tmp_path: Path) -> None:
    config = tmp_path / "models.toml"
    config.write_text(CONFIG.format(url=address), encoding="utf-8")
    names = ("none", "nano", "small", "both", "there", "safe", "kept")
    rankers = [part for name in names for part in ("--ranker", name)]
    content = evaluated(
        made, tmp_path / "r", "--config", str(config), "--timed", "2", *rankers,
        "--ranker", "itself=resift-nano",
    )  # fmt: skip
    found = by_name(content)
    quality = {name: each["by_query"]["nDCG@10"] for name, each in found.items()}
    assert quality["nano"] == quality["itself"] == quality["there"] == quality["safe"]
    assert quality["kept"] == quality["small"]
    assert found["both"]["backend"] == found["small"]["backend"]
    assert found["safe"]["model"] == "resift-nano"
    curves = {each["ranker"]: each for each in content["depth_curves"]}
    # Scores of two stages aren't of one scale, so no depth can be read off them.
    assert "both" not in curves


def test_a_cache_is_scored_with_and_timed_without() -> None:
    counted = Counted(Local("resift-nano"))
    ranker = Rankers().make("kept", Reranker(scorer=Cached(counted)))
    assert ranker.reranker is not None
    assert ranker.keeping is not None
    for _ in range(2):
        ranker.keeping.rank("a query", ["a text", "another"])
    assert counted.texts == 2
    for _ in range(2):
        ranker.reranker.rank("a query", ["a text", "another"])
    assert counted.texts == 6
    assert Rankers().make("plain", Reranker("resift-nano")).keeping is None


@pytest.mark.parametrize("protocol", ["resift", "tei", "cohere", "jina", "voyage", "vllm"])
def test_a_running_server_ranks_as_the_model_here(
    made: Path, address: str, tmp_path: Path, protocol: str
) -> None:
    arguments = ("--timed", "1", "--ranker", "here=resift-nano")
    content = evaluated(
        made, tmp_path / "r", *arguments,
        "--ranker", f"there={protocol}+{address},model=resift-nano",
    )  # fmt: skip
    here, there = by_name(content).values()
    assert there["by_query"] == here["by_query"]
    assert there["agreement"] == {**here["agreement"], "ranker": "there"}


def numbered(place: Path) -> Path:
    """A collection whose documents are numbers, which a server of numbers ranks by."""
    made = folder(place / "c", queries=QUERIES, documents=60, found=12)
    rows = [json.dumps({"_id": f"d{n}", "text": str(n)}) + "\n" for n in range(60)]
    (made / "corpus.jsonl").write_text("".join(rows), encoding="utf-8")
    return made


def test_a_server_that_fails_half_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = numbered(tmp_path)
    out = tmp_path / "r"
    with loopback.serve("tei") as server:
        spec = f"tei+{server.url},attempts=1"
        fine = [loopback.changed(lambda answer: answer)] * (QUERIES // 2)
        server.faults = [*fine, loopback.failing("tei", 500)]
        arguments = ["evaluate", str(made), "--out", str(out), "--ranker", "none"]
        assert main([*arguments, "--ranker", spec]) == 3
        assert "500" in capsys.readouterr().err
        # Half a report would be taken for a whole one.
        assert not out.exists()
        config = tmp_path / "models.toml"
        text = CONFIG.format(url=server.url).replace('["gone", "nano"]', '["there", "nano"]')
        config.write_text(text, encoding="utf-8")
        server.faults = [*fine]
        server.always = None
        server.faults += [loopback.failing("tei", 500)] * 100
        content = evaluated(
            made, out, "--timed", "0", "--config", str(config), "--ranker", "none",
            "--ranker", "safe",
        )  # fmt: skip
    assert by_name(content)["safe"]["model"] == "resift-nano"
    assert content["rankers"][1]["measures"]["nDCG@10"] >= 0
