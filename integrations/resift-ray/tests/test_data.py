"""Datasets on a cluster of Ray: the engine's scores, each row once, and the same files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

import dataset_rows as rows
import pyarrow as pa
import pyarrow.parquet as pq
import ray
import tiny_models
from resift_ray.data import OnRay, _Batches, _Blocks, rerank_dataset

from resift import InvalidRequestError, ModelNotFoundError, Reranker
from resift.cli.main import main
from resift.datasets import Negatives, Score, rerank_files


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.build(tmp_path_factory.mktemp("tiny"))


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
