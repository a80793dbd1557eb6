"""Nodes and drivers that are killed amid a dataset: each row comes out once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

import dataset_rows as rows
import pyarrow as pa
import pyarrow.parquet as pq
import ray
from resift_ray.data import rerank_dataset

from resift import Reranker
from resift.cli.main import main
from resift.datasets import Rank

_NODE = {"num_cpus": 1, "object_store_memory": 80 * 1024**2}
_SECONDS = 240.0


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
