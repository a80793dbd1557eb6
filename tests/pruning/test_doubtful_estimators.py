"""Estimators that can't be relied on."""

from __future__ import annotations

import json
import logging
import re
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from pruning.estimated import PRUNED, TEXTS, build, estimator, estimator_of
from rankings import facts

from resift import Reranker, TimingEvent
from resift.families.sequence_classification import SequenceClassification
from resift.families.table import FAMILIES


def remove(model: Path) -> None:
    shutil.rmtree(estimator_of(model))


def damage(model: Path) -> None:
    with (estimator_of(model) / "model.onnx").open("ab") as file:
        file.write(b"\0")


def miscalculate(model: Path) -> None:
    path = estimator_of(model) / "golden.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace("1.0,", "1.01,").replace("1.0}", "1.01}"),
        encoding="utf-8",
    )


def train_again(model: Path) -> None:
    estimator(estimator_of(model), weights={"w3": 1.0})


def name_other_data(model: Path) -> None:
    path = model / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["estimator"]["data_sha256"] = "0" * 64
    path.write_text(json.dumps(card), encoding="utf-8")


def cut(model: Path) -> None:
    estimator(estimator_of(model), window=16)


def read_otherwise(model: Path) -> None:
    path = estimator_of(model) / "tokenizer.json"
    path.write_text(path.read_text(encoding="utf-8") + "\n", encoding="utf-8")


def be_of_another_family(model: Path) -> None:
    path = estimator_of(model) / "card.json"
    path.write_text(
        json.dumps(json.loads(path.read_text(encoding="utf-8")) | {"family": "other"}),
        encoding="utf-8",
    )


def have_no_such_weights(model: Path) -> None:
    path = estimator_of(model) / "card.json"
    path.write_text(path.read_text(encoding="utf-8").replace('"fp32"', '"fp16"'), encoding="utf-8")


def name_a_folder(model: Path) -> None:
    path = model / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["estimator"]["model"] = str(estimator_of(model))
    path.write_text(json.dumps(card), encoding="utf-8")


def name_a_repository(model: Path) -> None:
    path = model / "card.json"
    path.write_text(
        path.read_text(encoding="utf-8").replace(estimator_of(model).name, "owner/name"),
        encoding="utf-8",
    )


class Other(SequenceClassification):
    """Another way to read a model's outputs."""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (remove, r"of estimators 1\.2.*there is no folder .*install estimators again"),
        (damage, r"model\.onnx is damaged"),
        (miscalculate, "its golden pairs"),
        (train_again, "has other weights"),
        (name_other_data, "has other weights"),
        (cut, "reads other tokens"),
        (read_otherwise, "reads other tokens"),
        (be_of_another_family, "reads other tokens"),
        (have_no_such_weights, "no weights"),
        (name_a_folder, "no installed package has"),
        (name_a_repository, "no installed package has"),
    ],
)
def test_without_the_estimator_that_the_card_names_nothing_is_pruned(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[Path], None],
    message: str,
) -> None:
    monkeypatch.setitem(FAMILIES, "other", Other)
    model = build(tmp_path / "model")
    change(model)
    reranker = Reranker(model, backend="onnx", precision="fp32", normalization="none")
    expected = reranker.rank("a", TEXTS, top_n=2)
    assert expected.status == "complete"
    with caplog.at_level(logging.WARNING, "resift"):
        ranking = reranker.rank("a", TEXTS, top_n=2, prune="auto")
        again = reranker.rank("a", TEXTS, top_n=2, prune="auto")
    assert facts(ranking) == facts(again) == facts(expected)
    assert (ranking.counts.pruned_documents, ranking.status) == (0, "fallback")
    assert again.status == "fallback"
    (warning,) = (each for each in caplog.messages if each.endswith("No document is pruned"))
    assert re.search(message, warning)
    assert reranker.rank("a", TEXTS, top_n=2).status == "complete"


def test_each_request_says_whether_its_estimates_failed(tmp_path: Path) -> None:
    model = build(tmp_path / "model")
    remove(model)
    events: list[TimingEvent] = []
    reranker = Reranker(model, backend="onnx", prune="auto", on_timing=events.append)
    rankings = reranker.rank_many([("a", TEXTS[:2]), ("a", TEXTS)], top_n=2)
    assert [each.status for each in rankings] == ["complete", "fallback"]
    assert events[0].status == "fallback"


def test_an_estimator_on_its_fallback_prunes_with_status_fallback(tmp_path: Path) -> None:
    model = build(tmp_path / "model")
    folder = estimator_of(model)
    shutil.copy(model / "model.onnx", folder / "wrong.onnx")
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    # Of words in tenths, these two models think otherwise.
    golden["pairs"] = [{"query": "a", "document": "w9", "logit": 0.5}]
    (folder / "golden.json").write_text(json.dumps(golden), encoding="utf-8")
    wrong = {**card["artifacts"][0], "file": "wrong.onnx"}
    wrong["sha256"] = sha256((folder / "wrong.onnx").read_bytes()).hexdigest()
    card["artifacts"].insert(0, wrong)
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    ranking = Reranker(model, backend="onnx").rank("a", TEXTS, top_n=2, prune="auto")
    assert [each.index for each in ranking] == [9, 8]
    assert (ranking.counts.pruned_documents, ranking.status) == (PRUNED, "fallback")
