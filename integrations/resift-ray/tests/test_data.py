"""Datasets on a cluster of Ray: the engine's scores, each row once, whatever is killed."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

import clusters
import dataset_rows as rows
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import tiny_models
from resift_ray.data import OnRay, _Batches, _Blocks, rerank_dataset

from resift import InvalidRequestError, ModelNotFoundError, Reranker
from resift.cli.main import main
from resift.datasets import Negatives, Rank, Score, rerank_files

_NODE = {"num_cpus": 1, "object_store_memory": 80 * 1024**2}
_SECONDS = 240.0


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes."""
    with clusters.cluster({"num_cpus": 1}, {"num_cpus": 1}) as made:
        yield made


def test_each_row_comes_out_once_with_the_engines_scores(cluster: Any, tiny: Path) -> None:
    given: list[dict[str, Any]] = [rows.row(number) for number in range(40)]
    given[7]["query"] = " "
    given[20]["documents"] = None
    found = rerank_dataset(
        ray.data.from_items(given, override_num_blocks=5),
        top_n=2,
        batch_rows=6,
        actors=2,
        model=str(tiny),
    ).take_all()
    reranker = Reranker(tiny)
    assert sorted(row["id"] for row in found) == list(range(40))
    for row in found:
        before = given[row["id"]]
        assert {name: row[name] for name in before} == before
        if row["id"] in (7, 20):
            assert row["ranking"] is None
            assert "must" in row["rejected"]
        else:
            ranking = reranker.rank(row["query"], row["documents"], top_n=2)
            expected = [{"index": x.index, "score": x.score, "logit": x.logit} for x in ranking]
            assert row["ranking"] == expected
            assert row["rejected"] is None


@pytest.mark.slow
def test_tasks_and_columns_are_those_of_the_command(cluster: Any, tiny: Path) -> None:
    given = [
        {"q": "a", "docs": [{"body": "bad"}, {"body": "good"}, {"body": "b"}], "right": "good"}
    ]
    data = ray.data.from_items(given)
    names: dict[str, Any] = {"query": "q", "documents": "docs", "text": "body", "model": str(tiny)}
    (row,) = rerank_dataset(data, task=Score(), **names).take_all()
    assert row["scores"] == Reranker(tiny).score("a", ["bad", "good", "b"])
    (row,) = rerank_dataset(data, task=Negatives(count=1), positives="right", **names).take_all()
    assert row["negatives"] == [{"body": "b"}]


def test_what_cant_be_asked_is_refused_at_once(cluster: Any, tiny: Path) -> None:
    data = ray.data.from_items([{"query": "a", "documents": ["a"]}])
    wrong: list[dict[str, Any]] = [
        {"top_n": 0},
        {"top_n": 2, "task": Score()},
        {"task": Negatives()},
        {"deadline_ms": 5.0},
        {"rejected": "ranking"},
        {"actors": (3, 2)},
        {"actors": 0},
        {"cpus_per_actor": 0},
        {"batch_rows": 0},
        {"most_documents": 0},
    ]
    for each in wrong:
        with pytest.raises(InvalidRequestError):
            rerank_dataset(data, model=str(tiny), **each)
    with pytest.raises(TypeError, match="no_such"):
        rerank_dataset(data, no_such=3)


def test_threads_are_the_cpus_of_the_actor(tiny: Path, tmp_path: Path) -> None:
    asked = rows.asked(tiny, options={"threads": 7})
    actor = _Batches(asked.to_dict(), "rejected", 2)
    assert actor._ranker._ranker.reranker.options["threads"] == 2
    table = pa.table({"query": ["a"], "documents": [["b"]], "id": [1]})
    assert actor(table).num_rows == 1
    source = rows.write_lines(tmp_path / "in.jsonl", [rows.row(1)])
    rows.rerank(source, tmp_path / "out", asked)
    blocks = _Blocks(str(tmp_path / "out"), str(tmp_path), 3)
    assert blocks._worker._ranker.reranker.options["threads"] == 3
    assert json.loads(blocks(pa.table({"number": [0]})).column("note")[0].as_py())["number"] == 0


class Noted:
    """A dataset that notes what Ray is asked for."""

    def map_batches(self, _: type, **given: Any) -> Noted:
        self.given = given
        return self


@pytest.mark.parametrize(
    ("actors", "least", "most"), [(None, 1, math.inf), (3, 3, 3), ((2, 3), 2, 3)], ids=str
)
def test_what_an_actor_has_is_reserved(tiny: Path, actors: Any, least: int, most: float) -> None:
    data: Any = Noted()
    options: dict[str, Any] = {"cpus_per_actor": 2, "gpus_per_actor": 0.5, "batch_rows": 7}
    rerank_dataset(data, model=str(tiny), actors=actors, **options)
    given = data.given
    assert (given["num_cpus"], given["num_gpus"], given["batch_size"]) == (2, 0.5, 7)
    assert (given["compute"].min_size, given["compute"].max_size) == (least, most)
    # The threads of each.
    assert given["fn_constructor_args"][-1] == 2


@pytest.mark.parametrize("form", ["jsonl", pytest.param("parquet", marks=pytest.mark.slow)])
def test_files_have_the_same_bytes_with_ray_and_without(
    cluster: Any, tiny: Path, tmp_path: Path, form: str
) -> None:
    given: list[Any] = [rows.row(number) for number in range(30)]
    given[3]["query"] = None
    source = tmp_path / f"in.{form}"
    if form == "jsonl":
        rows.write_lines(source, [*given, "nope"])
    else:
        pq.write_table(pa.Table.from_pylist(given), source)
    command = ["rerank-dataset", str(source), "--model", str(tiny), "--block-rows", "4"]
    ray_options = ["--ray", cluster.address, "--actors", "2"]
    assert main([*command, str(tmp_path / "ray"), *ray_options]) == 1
    assert main([*command, str(tmp_path / "here"), "--threads", "1"]) == 1
    assert rows.content(tmp_path / "ray") == rows.content(tmp_path / "here")
    reports = [
        json.loads((tmp_path / name / "_report.json").read_bytes()) for name in ("ray", "here")
    ]
    for name in ("rows", "ranked", "rejected", "pairs", "tokens", "ran"):
        assert reports[0][name] == reports[1][name]


@pytest.mark.slow
def test_errors_of_actors_are_resifts_own(cluster: Any, tiny: Path, tmp_path: Path) -> None:
    source = rows.write_lines(tmp_path / "in.jsonl", [rows.row(1)])
    runner = OnRay(cluster.address, actors=1)
    with pytest.raises(ModelNotFoundError):
        rerank_files(source, tmp_path / "a", rows.asked(tmp_path / "no"), runner=runner)


def refuse(*_: Any, **__: Any) -> None:
    """Fail as ``ray.init`` does without a cluster."""
    raise ConnectionError("Could not find any running Ray instance")


def test_a_cluster_that_isnt_there_is_said(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = rows.write_lines(tmp_path / "in.jsonl", [rows.row(1)])
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", refuse)
    with pytest.raises(InvalidRequestError, match="there is no Ray cluster"):
        rerank_files(source, tmp_path / "out", rows.asked(tiny), runner=OnRay("auto"))


def wait_for(done: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + _SECONDS
    while not done():
        assert process is None or process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)


def long_rows(count: int) -> list[dict[str, Any]]:
    """Rows that take a real model some time."""
    text = "Rust's borrow checker refuses two mutable references to the same value. " * 3
    return [
        {"id": at, "query": f"question {at}", "documents": [f"{text}{at} {n}" for n in range(8)]}
        for at in range(count)
    ]


def blocks(out: Path) -> int:
    return len(list(out.glob("_resift/blocks/*.json")))


_RESIFT = "import sys; from resift.cli.main import main; sys.exit(main())"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows, and what one process makes of them."""
    folder = tmp_path_factory.mktemp("whole")
    rows.write_lines(folder / "in.jsonl", long_rows(240))
    asked = rows.asked(Path("resift-nano"), Rank(top_n=3), block_rows=4, options={"threads": 1})
    rows.rerank(folder / "in.jsonl", folder / "out", asked)
    return folder


def command(whole: Path, out: Path, cluster: Any) -> list[str]:
    options = ["--model", "resift-nano", "-n", "3", "--block-rows", "4", "--id", "id"]
    place = ["--ray", cluster.address, "--actors", "2"]
    return ["rerank-dataset", str(whole / "in.jsonl"), str(out), *options, *place]


@pytest.mark.slow
def test_a_node_that_is_killed_loses_and_doubles_no_row(
    cluster: Any, whole: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    node = cluster.add_node(**_NODE)
    process = subprocess.Popen(
        [sys.executable, "-c", _RESIFT, *command(whole, out, cluster)[:-1], "3"]
    )
    try:
        wait_for(lambda: blocks(out) >= 8, process)
        cluster.remove_node(node, allow_graceful=False)
        at = blocks(out)
        assert process.wait(_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
    assert at < 60
    assert rows.content(out) == rows.content(whole / "out")
    report = json.loads((out / "_report.json").read_bytes())
    assert (report["rows"], report["ranked"], report["runs"]) == (240, 240, 1)


@pytest.mark.slow
def test_a_driver_that_is_killed_is_gone_on_with(cluster: Any, whole: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", _RESIFT, *command(whole, out, cluster)])
    try:
        wait_for(lambda: blocks(out) >= 8, process)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert blocks(out) < 60
    assert main(command(whole, out, cluster)) == 0
    assert rows.content(out) == rows.content(whole / "out")
    assert json.loads((out / "_report.json").read_bytes())["runs"] == 2


@pytest.mark.slow
def test_a_dataset_loses_and_doubles_no_row_where_a_node_is_killed(
    cluster: Any, tmp_path: Path
) -> None:
    node = cluster.add_node(**_NODE)
    given = long_rows(240)
    ranked = rerank_dataset(
        ray.data.from_items(given, override_num_blocks=30),
        top_n=3,
        batch_rows=8,
        actors=3,
        model="resift-nano",
    )
    found: list[dict[str, Any]] = []
    for at, row in enumerate(ranked.iter_rows()):
        found.append(row)
        if at == 20:
            cluster.remove_node(node, allow_graceful=False)
    assert sorted(row["id"] for row in found) == list(range(240))
    reranker = Reranker("resift-nano", threads=1)
    for row in found[::20]:
        ranking = reranker.rank(row["query"], row["documents"], top_n=3)
        assert [x["index"] for x in row["ranking"]] == [x.index for x in ranking]
        logits = [x.logit for x in ranking]
        assert [x["logit"] for x in row["ranking"]] == pytest.approx(logits, abs=1e-5)


_CHECKPOINTED = """
import sys
import ray
from ray.data import DataContext
from ray.data.checkpoint import CheckpointConfig
from resift_ray.data import rerank_dataset

address, source, out, checkpoint = sys.argv[1:]
ray.init(address, log_to_driver=False)
context = DataContext.get_current()
context.checkpoint_config = CheckpointConfig("id", checkpoint)
# Else so few rows are one block, which is there or isn't.
context.use_datasource_v2 = False
rows = ray.data.read_parquet(source, override_num_blocks=30)
# The other CPU is for reading and writing.
rerank_dataset(rows, top_n=3, batch_rows=8, actors=1, model="resift-nano").write_parquet(out)
"""


@pytest.mark.slow
def test_rays_own_checkpoints_leave_each_row_once(cluster: Any, tmp_path: Path) -> None:
    node = cluster.add_node(**_NODE)
    (tmp_path / "in").mkdir()
    given = long_rows(240)
    for at in range(30):
        part = pa.Table.from_pylist(given[at * 8 : at * 8 + 8])
        pq.write_table(part, tmp_path / f"in/{at:02d}.parquet")
    places = [str(tmp_path / name) for name in ("in", "out", "checkpoint")]
    script = [sys.executable, "-c", _CHECKPOINTED, cluster.address, *places]
    process = subprocess.Popen(script)
    try:
        wait_for(lambda: len(list(tmp_path.glob("out/*.parquet"))) >= 2, process)
        os.kill(process.pid, signal.SIGKILL)
    finally:
        process.kill()
        process.wait()
    assert len(list(tmp_path.glob("out/*.parquet"))) < 30
    subprocess.run(script, check=True, timeout=_SECONDS)
    cluster.remove_node(node)
    assert sorted(pq.read_table(tmp_path / "out").column("id").to_pylist()) == list(range(240))
