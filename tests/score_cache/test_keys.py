"""Keys of the cache of scores: whatever could change a score tells two entries apart."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_models
from numbers_scorer import Numbers
from processors import PROCESSORS
from score_cache.caching import TEXTS, Place, facts, pairs, stores

from resift import Reranker, machine
from resift.families.sequence_classification import SequenceClassification
from resift.loading import identity, opening
from resift.loading.model import LoadedModel
from resift.options import LoadOptions
from resift.scoring import Cached, Local
from resift.text.batch import Batch


def test_what_could_change_a_score_is_in_the_key(tiny: Path, forwarded: list[Batch]) -> None:
    reranker = Reranker(scorer=Cached(Local(tiny, backend="onnx")))
    reranker.rank("a", ["w1 w2"])
    others: list[tuple[str, dict[str, Any]]] = [
        ("b", {}),
        ("a", {"max_length": 7}),
        ("a", {"max_length": 8}),
        ("a", {"long_documents": "windows"}),
    ]
    for query, options in others:
        forwarded.clear()
        assert reranker.rank(query, ["w1 w2"], **options).counts.cached == 0
        assert pairs(forwarded) == 1
    same: list[dict[str, Any]] = [
        {"normalization": "none"}, {"prior": 0.3}, {"top_n": 1}, {"score_threshold": 0},
    ]  # fmt: skip
    for options in same:
        assert reranker.rank("a", ["w1 w2"], **options).counts.cached == 1


def test_query_and_text_are_kept_apart() -> None:
    reranker = Reranker(scorer=Cached(Numbers(digest="d")))
    reranker.rank("1", ["23"])
    assert reranker.rank("12", ["3"]).counts.cached == 0
    assert reranker.rank('1"', ["23"]).counts.cached == 0


@stores
def test_models_share_no_entry(place: Place, tmp_path: Path, tiny: Path) -> None:
    folder = place(tmp_path / "cache")
    Reranker(scorer=Cached(Local(tiny, backend="onnx"), **folder)).rank("a", TEXTS)
    other = shutil.copytree(tiny, tmp_path / "other")
    same = Reranker(scorer=Cached(Local(other, backend="onnx"), **folder)).rank("a", TEXTS)
    # By what is in its files, wherever they are.
    assert same.counts.cached == (5 if folder else 0)
    changes: dict[str, Callable[[], object]] = {
        "weights": lambda: _train(other),
        "tokenizer": lambda: _append(other / "tokenizer.json"),
        "config": lambda: _configure(other, id2label={"0": "relevance"}),
    }
    for change in changes.values():
        change()
        found = Reranker(scorer=Cached(Local(other, backend="onnx"), **folder)).rank("a", TEXTS)
        assert found.counts.cached == 0
        expected = Reranker(other, backend="onnx").rank("a", TEXTS)
        assert facts(found) == facts(expected)


def _train(folder: Path) -> None:
    graph = onnx.load(folder / "model.onnx")
    (table,) = (each for each in graph.graph.initializer if each.name == "table")
    values = onnx.numpy_helper.to_array(table) * np.float32(1.5)
    table.CopyFrom(onnx.numpy_helper.from_array(values, "table"))
    onnx.save(graph, folder / "model.onnx")


def _append(path: Path) -> None:
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")


def _configure(folder: Path, **more: Any) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(config | more), encoding="utf-8")


def test_weights_beside_the_graph_are_in_the_key(tmp_path: Path) -> None:
    model = tiny_models.split(tmp_path / "model", "data")
    reranker = Reranker(scorer=Cached(Local(model, backend="onnx"), folder=tmp_path / "cache"))
    reranker.rank("a", TEXTS)
    data = bytearray((model / "data").read_bytes())
    # The weight of one of the words.
    at = 4 * tiny_models.IDS["good"]
    data[at : at + 4] = np.float32(7).tobytes()
    (model / "data").write_bytes(data)
    again = Reranker(scorer=Cached(Local(model, backend="onnx"), folder=tmp_path / "cache"))
    ranking = again.rank("a", TEXTS)
    assert ranking.counts.cached == 0
    assert facts(ranking) == facts(Reranker(model, backend="onnx").rank("a", TEXTS))


class Other(SequenceClassification):
    """Another way to read a model's outputs."""


def test_whatever_moves_a_logit_moves_the_digest(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = opening.load_model(LoadOptions(model=tiny, backend="onnx"))
    way, reader = model.way, model.reader
    elsewhere: Any = SimpleNamespace(device="cuda:0")
    others = [
        replace(model, way=way._replace(precision="bf16")),
        replace(model, way=way._replace(backend="openvino")),
        replace(model, backend=elsewhere),
        replace(model, reader=replace(reader, max_length=16)),
        replace(model, reader=replace(reader, window=16)),
        replace(model, reader=replace(reader, family=Other())),
    ]
    first = identity.digest_of(model)
    found = [first, *map(identity.digest_of, others)]
    monkeypatch.setattr("onnxruntime.__version__", "0.0.1")
    found.append(identity.digest_of(model))
    monkeypatch.setattr("resift.__version__", "0.0.1")
    found.append(identity.digest_of(model))
    monkeypatch.setattr(machine, "processor", lambda: PROCESSORS["unknown"])
    found.append(identity.digest_of(model))
    assert None not in found
    assert len(set(found)) == len(found)
    monkeypatch.undo()
    assert identity.digest_of(model) == first


def test_precisions_and_backends_share_no_entry(tmp_path: Path) -> None:
    model = tiny_models.build(tmp_path / "model")
    tiny_models.build(model, precision="fp16")
    ways = [{"precision": "fp32"}, {"precision": "fp16"}, {"backend": "openvino"}]
    for options in ways:
        scorer = Cached(Local(model, **{"backend": "onnx", **options}), folder=tmp_path / "cache")  # type: ignore[arg-type]
        assert Reranker(scorer=scorer).rank("a", TEXTS).counts.cached == 0
        assert Reranker(scorer=scorer).rank("a", TEXTS).counts.cached == len(TEXTS)


def test_warming_up_tells_the_model_from_others(
    tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[LoadedModel] = []

    def counted(model: LoadedModel) -> str | None:
        made.append(model)
        return identity.digest_of(model)

    monkeypatch.setattr("resift.scoring.local.digest_of", counted)
    reranker = Reranker(scorer=Cached(Local(tiny, backend="onnx")))
    reranker.warm_up()
    assert len(made) == 1
    reranker.rank("a", TEXTS)
    assert len(made) == 1
