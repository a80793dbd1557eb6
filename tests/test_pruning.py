"""Early exit: what ``prune="auto"`` may change, and what it may not."""

from __future__ import annotations

import json
import logging
import math
import pickle
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import tiny_models
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from packages import write_package

from resift import InvalidRequestError, Observer, Ranking, Reranker, TimingEvent, plugins
from resift.backends.onnx import OnnxBackend
from resift.families.sequence_classification import SequenceClassification
from resift.families.table import FAMILIES
from resift.loading import opening
from resift.loading.finding import find_files
from resift.loading.model import LoadedModel
from resift.models.packages import GROUP as MODELS
from resift.models.packages import find_packaged
from resift.models.store.upkeep import bundle
from resift.options import LoadOptions
from resift.scoring.cuts import survivors
from resift.text.batch import Batch
from resift.text.tokenizer import PairTokenizer

WORDS = [f"w{n}" for n in range(10)]
TEXTS = [f"{word} {word}" for word in WORDS]
MARGIN = 0.11
# Of these texts, at top_n=2: the estimates of w6 to w9 are the same.
SURVIVORS, PRUNED = 4, 6


_names = (f"estimator-{n}" for n in count())


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install a package that ``build`` adds estimators to."""
    with pytest.MonkeyPatch.context() as patch:
        site = tmp_path_factory.mktemp("site")
        write_package(site, "estimators", {MODELS: {}}, "")
        (site / "estimators.py").unlink()
        (site / "estimators").mkdir()
        (site / "estimators/__init__.py").touch()
        patch.syspath_prepend(site)
        patch.setattr(plugins, "installed", plugins.installed.__wrapped__)
        yield


def add_estimator(name: str) -> Path:
    """The folder of a new model in the installed package."""
    spec = find_spec("estimators")
    assert spec is not None
    (folder,) = map(Path, spec.submodule_search_locations or ())
    with (folder.parent / "estimators-1.2.dist-info/entry_points.txt").open(
        "a", encoding="utf-8"
    ) as points:
        points.write(f"{name} = estimators\n")
    return folder / name


def estimate(text: str) -> float:
    """The estimator's logit: words count in whole numbers, so that many are equal."""
    words = text.split()
    return float(sum(np.round(tiny_models.WEIGHTS[word]) for word in words) / (len(words) + 1))


def estimator(
    folder: Path, *, weights: Mapping[str, float] | None = None, window: int = 32
) -> dict[str, Any]:
    """The tiny model, whose words weigh whole numbers, or ``weights``; what names it in a card."""
    tiny_models.build(folder)
    graph = onnx.load(folder / "model.onnx")
    (table,) = (each for each in graph.graph.initializer if each.name == "table")
    values = {name: np.round(value) for name, value in tiny_models.WEIGHTS.items()}
    rows = np.array(list({**values, **(weights or {})}.values()), dtype=np.float32)[:, None]
    table.CopyFrom(onnx.numpy_helper.from_array(rows, "table"))
    onnx.save(graph, folder / "model.onnx")
    return {"model": folder.name, "sha256": describe(folder, window=window, max_length=window)}


def describe(folder: Path, **more: Any) -> str:
    """Give a tiny model a card, with its digest, and a golden pair that its estimator has too."""
    digest = sha256((folder / "model.onnx").read_bytes()).hexdigest()
    artifact = {"format": "onnx", "precision": "fp32", "file": "model.onnx", "sha256": digest}
    card = {"max_length": 32, "window": 32, "tolerance": 1e-4, "artifacts": [artifact], **more}
    pair = {"query": "a", "document": "good", "logit": 1.0}
    golden = {"model_sha256": digest, "tolerance": 1e-4, "pairs": [pair]}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    (folder / "golden.json").write_text(json.dumps(golden), encoding="utf-8")
    return digest


def build(
    folder: Path, *, margin: float = MARGIN, weights: Mapping[str, float] | None = None
) -> Path:
    """The tiny model, with an estimator of its own in an installed package."""
    tiny_models.build(folder)
    named = estimator(add_estimator(next(_names)), weights=weights)
    describe(folder, estimator={**named, "margin": margin})
    return folder


def estimator_of(folder: Path) -> Path:
    name = json.loads((folder / "card.json").read_text(encoding="utf-8"))["estimator"]["model"]
    found = find_packaged(name)
    assert found is not None
    return found.folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("pruned"))


@pytest.fixture(scope="module")
def reranker(model: Path) -> Reranker:
    # A pair in each pass: company would move the last digit.
    return Reranker(model, backend="onnx", normalization="none", max_batch_tokens=1)


def facts(ranking: Ranking) -> list[tuple[int, float | None, float | None, int]]:
    return [(r.index, r.score, r.logit, r.truncated_tokens) for r in ranking]


# Which stay

numbers = st.one_of(
    st.floats(-9, 9, width=32), st.sampled_from([math.nan, math.inf, -math.inf, 0.0])
)


@settings(deadline=None)
@given(
    estimates=st.lists(numbers, min_size=1, max_size=12),
    data=st.data(),
    top_n=st.integers(1, 14),
    margin=st.one_of(st.floats(0, 5), st.just(math.inf)),
)
def test_documents_within_the_margin_survive(
    estimates: list[float], data: st.DataObject, top_n: int, margin: float
) -> None:
    texts = range(len(estimates))
    more = data.draw(st.lists(st.sampled_from(texts), max_size=6))
    slots = [*texts, *more]
    kept = survivors(np.array(estimates, np.float32), slots, top_n, margin)
    finite = sorted((estimates[s] for s in slots if math.isfinite(estimates[s])), reverse=True)
    for text in texts:
        if len(finite) < top_n or not math.isfinite(estimates[text]):
            assert kept[text]
        else:
            assert kept[text] == (estimates[text] >= finite[top_n - 1] - margin)


def test_a_nan_estimate_prunes_no_other_document() -> None:
    estimates = np.array([math.nan, math.inf, 1.0, 0.5, -3.0], np.float32)
    assert survivors(estimates, range(5), 2, 1.0).tolist() == [True, True, True, True, False]


def test_duplicates_count_as_often_as_they_come() -> None:
    estimates = np.array([3.0, 2.0, 0.0], np.float32)
    assert survivors(estimates, [0, 1, 2], 2, 0.5).tolist() == [True, True, False]
    assert survivors(estimates, [0, 0, 1, 2], 2, 0.5).tolist() == [True, False, False]


# What comes back

texts_strategy = st.lists(
    st.lists(st.sampled_from([*WORDS, "a", "b", "good", "bad"]), max_size=6).map(" ".join),
    min_size=1,
    max_size=20,
)


@settings(deadline=None, max_examples=60)
@given(texts=texts_strategy, top_n=st.integers(1, 8))
def test_survivors_are_ranked_as_without_pruning(
    reranker: Reranker, texts: list[str], top_n: int
) -> None:
    before = list(texts)
    everything = reranker.rank("a", texts)
    ranking = reranker.rank("a", texts, top_n=top_n, prune="auto")
    bar = sorted((estimate(text) for text in texts), reverse=True)[min(top_n, len(texts)) - 1]
    stays = [len(texts) < 3 * top_n or estimate(text) >= bar - MARGIN for text in texts]
    assert facts(ranking) == [each for each in facts(everything) if stays[each[0]]][:top_n]
    assert ranking.counts.pruned_documents == stays.count(False)
    assert ranking.counts.documents == len(texts)
    kept_texts = {text for text, stay in zip(texts, stays, strict=True) if stay}
    assert ranking.counts.pairs == len(kept_texts)
    assert texts == before


@settings(deadline=None, max_examples=20)
@given(texts=texts_strategy, top_n=st.integers(1, 8))
def test_a_margin_that_keeps_all_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], top_n: int
) -> None:
    wide = _wide(tmp_path_factory)
    ranking = wide.rank("a", texts, top_n=top_n)
    assert facts(ranking) == facts(Reranker.rank(wide, "a", texts))[:top_n]
    assert ranking.counts.pruned_documents == 0


_made: list[Reranker] = []


def _wide(factory: pytest.TempPathFactory) -> Reranker:
    if not _made:
        folder = build(factory.mktemp("wide"), margin=1e9)
        _made.append(Reranker(folder, backend="onnx", prune="auto", max_batch_tokens=1))
    return _made[0]


def test_only_survivors_get_the_whole_model(reranker: Reranker, forwarded: list[Batch]) -> None:
    reranker.rank("a", TEXTS, top_n=2, prune="auto")
    # Where it was loaded only now, golden pairs, too.
    forwarded.clear()
    reranker.rank("a", TEXTS, top_n=2, prune="auto")
    assert sum(len(batch.input_ids) for batch in forwarded) == len(TEXTS) + SURVIVORS
    forwarded.clear()
    ranking = reranker.rank("a", TEXTS, top_n=2)
    assert sum(len(batch.input_ids) for batch in forwarded) == len(TEXTS)
    assert ranking.counts.pruned_documents == 0


def test_a_threshold_is_applied_after_pruning(reranker: Reranker) -> None:
    options: dict[str, Any] = {"top_n": 3, "score_threshold": 0.5}
    expected = reranker.rank("a", TEXTS, **options)
    ranking = reranker.rank("a", TEXTS, **options, prune="auto")
    assert facts(ranking) == facts(expected)
    assert len(ranking) == 2


def test_windows_are_estimated_by_their_best(model: Path) -> None:
    late = "bad " * 30 + "good " * 8
    options: dict[str, Any] = {"max_length": 12, "top_n": 1, "prune": "auto"}
    reranker = Reranker(model, backend="onnx")
    cut = reranker.rank("a", ["w9", late, "bad"], **options)
    assert [each.index for each in cut] == [0]
    whole = reranker.rank("a", ["w9", late, "bad"], **options, long_documents="windows")
    assert [each.index for each in whole] == [1]
    assert whole.counts.pruned_documents == 2
    assert whole.counts.pairs > 1


def test_an_estimate_that_is_not_finite_prunes_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = build(tmp_path / "model", weights={"w9": math.nan, "w1": math.inf})
    reranker = Reranker(folder, backend="onnx", normalization="none", prune="auto")
    ranking = reranker.rank("a", TEXTS, top_n=2)
    # Nor is it computed again.
    assert not caplog.messages
    assert [each.index for each in ranking] == [9, 8]
    # w6 to w8 by their estimates, w9 and w1 without.
    assert ranking.counts.pruned_documents == 5


def test_several_queries_are_pruned_each_by_itself(reranker: Reranker) -> None:
    requests = [("a", TEXTS), ("b", TEXTS[:2]), ("a", []), ("b", TEXTS[::-1])]
    together = reranker.rank_many(requests, top_n=2, prune="auto")
    apart = [reranker.rank(*request, top_n=2, prune="auto") for request in requests]
    assert [facts(each) for each in together] == [facts(each) for each in apart]
    assert [each.counts.pruned_documents for each in together] == [PRUNED, 0, 0, PRUNED]


def test_truncation_is_reported_for_pruned_documents_too(reranker: Reranker) -> None:
    texts = [f"{word} " * 12 if n % 2 else word for n, word in enumerate(WORDS)]
    options: dict[str, Any] = {"top_n": 2, "max_length": 10}
    everything = reranker.rank("a", texts, **options, prune="off")
    ranking = reranker.rank("a", texts, **options, prune="auto")
    assert ranking.counts.pruned_documents > 0
    assert facts(ranking) == facts(everything)
    assert max(each.truncated_tokens for each in ranking) > 0
    assert ranking.counts.truncated_documents == everything.counts.truncated_documents == 5


def test_texts_are_tokenized_once(reranker: Reranker, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenized: list[str] = []
    tokenize = PairTokenizer.tokenize

    def counted(self: PairTokenizer, query: str, texts: Sequence[str], **options: Any) -> Any:
        tokenized.extend(texts)
        return tokenize(self, query, texts, **options)

    reranker.rank("a", TEXTS, top_n=2, prune="auto")  # a first ranking also tests the models
    monkeypatch.setattr(PairTokenizer, "tokenize", counted)
    assert reranker.rank("a", TEXTS, top_n=2, prune="auto").counts.pruned_documents == PRUNED
    assert tokenized == TEXTS


def test_one_query_may_have_several_lists_of_documents(reranker: Reranker) -> None:
    requests = [("a", TEXTS), ("a", ["good", *TEXTS[:5]]), ("a", TEXTS[5:])]
    together = reranker.rank_many(requests, top_n=1, prune="auto")
    apart = [reranker.rank(*request, top_n=1, prune="auto") for request in requests]
    assert [facts(each) for each in together] == [facts(each) for each in apart]


def test_threads_agree_and_load_once(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loads: list[str] = []
    load = opening.load_model

    def counted(options: LoadOptions) -> LoadedModel:
        loads.append(Path(options.model).name)
        return load(options)

    monkeypatch.setattr(opening, "load_model", counted)
    reranker = Reranker(model, backend="onnx", prune="auto")
    lists = [TEXTS[n % 5 :] for n in range(32)]
    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda texts: facts(reranker.rank("a", texts, top_n=2)), lists))
    assert found == [facts(reranker.rank("a", texts, top_n=2)) for texts in lists]
    assert loads == [model.name, estimator_of(model).name]


def test_estimates_count_among_the_threads(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_a_time: list[int] = []
    running = 0

    def forward(self: OnnxBackend, batch: Batch) -> NDArray[np.float32]:
        nonlocal running
        running += 1
        at_a_time.append(running)
        time.sleep(0.001)
        running -= 1
        return np.arange(len(batch.input_ids), dtype=np.float32)[:, None]

    reranker = Reranker(model, backend="onnx", prune="auto", threads=1, max_batch_tokens=1)
    reranker.warm_up()
    monkeypatch.setattr(OnnxBackend, "forward", forward)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: reranker.rank("a", TEXTS, top_n=2), range(8)))
    assert set(at_a_time) == {1}
    assert len(at_a_time) > 8 * len(TEXTS)


def test_progress_rises_to_all_pairs(reranker: Reranker) -> None:
    seen: list[tuple[int, int]] = []

    class Watcher(Observer):
        def progress(self, done: int, total: int) -> None:
            seen.append((done, total))

    reranker.rank("a", TEXTS, top_n=2, prune="auto", observer=Watcher())
    assert {total for _, total in seen} == {len(TEXTS)}
    done = [each for each, _ in seen]
    assert done == sorted(done)
    assert (done[0], done[-1]) == (0, len(TEXTS))
    # Those that were pruned are done when the estimates are.
    assert PRUNED in done


def test_the_event_counts_pruned_documents(model: Path) -> None:
    events: list[TimingEvent] = []
    reranker = Reranker(model, backend="onnx", on_timing=events.append, prune="auto")
    reranker.rank("a", TEXTS, top_n=2)
    assert events[0].pruned_documents == PRUNED
    assert json.loads(json.dumps(events[0].to_dict()))["pruned_documents"] == PRUNED


# When nothing is pruned


def test_a_model_without_an_estimator_is_ranked_in_full(tiny: Path) -> None:
    ranking = Reranker(tiny, backend="onnx").rank("a", TEXTS, top_n=2, prune="auto")
    assert [each.index for each in ranking] == [9, 8]
    assert (ranking.counts.pruned_documents, ranking.status) == (0, "complete")


@pytest.mark.parametrize("top_n", [None, 4, len(TEXTS), 100])
def test_few_documents_are_not_estimated(
    model: Path, top_n: int | None, forwarded: list[Batch]
) -> None:
    reranker = Reranker(model, backend="onnx")
    ranking = reranker.rank("a", TEXTS, top_n=top_n, prune="auto")
    assert len(ranking) == min(top_n or 100, len(TEXTS))
    assert ranking.counts.pruned_documents == 0
    # Beside the golden pair, as the estimator isn't even read.
    assert sum(len(batch.input_ids) for batch in forwarded) == len(TEXTS) + 1


def test_score_gives_all_scores(model: Path) -> None:
    reranker = Reranker(model, backend="onnx", prune="auto")
    assert reranker.score("a", TEXTS) == Reranker(model, backend="onnx").score("a", TEXTS)
    assert sum(reranker.score("a", TEXTS, normalization="softmax")) == pytest.approx(1)
    with pytest.raises(TypeError, match="prune"):
        reranker.score("a", TEXTS, prune="auto")  # type: ignore[call-arg]


def test_a_call_may_turn_pruning_off(model: Path) -> None:
    reranker = Reranker(model, backend="onnx", prune="auto")
    assert reranker.rank("a", TEXTS, top_n=2, prune="off").counts.pruned_documents == 0
    whole = Reranker(model, prune="off").rank("a", TEXTS, top_n=2, normalization="softmax")
    assert whole.counts.pruned_documents == 0


# What is refused


@pytest.mark.parametrize("given", ["always", "", True, 3])
def test_invalid_values_are_refused(model: Path, given: Any) -> None:
    with pytest.raises(InvalidRequestError, match="prune"):
        Reranker(model, prune=given)
    with pytest.raises(InvalidRequestError, match="prune"):
        Reranker(model).rank("a", TEXTS, prune=given)


@pytest.mark.parametrize("normalization", ["softmax", "minmax"])
def test_scores_over_all_documents_need_all(model: Path, normalization: Any) -> None:
    message = f"normalization='{normalization}' needs the logits of all documents"
    with pytest.raises(InvalidRequestError, match=message):
        Reranker(model, prune="auto", normalization=normalization)
    with pytest.raises(InvalidRequestError, match=message):
        Reranker(model, prune="auto").rank("a", TEXTS, normalization=normalization)
    with pytest.raises(InvalidRequestError, match=message):
        Reranker(model, normalization=normalization).rank("a", TEXTS, prune="auto")


# What can't be relied on


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


# Ways through


def test_every_backend_prunes(graph_backend: str, model: Path) -> None:
    ranking = Reranker(model, backend=graph_backend).rank("a", TEXTS, top_n=2, prune="auto")
    assert [each.index for each in ranking] == [9, 8]
    assert ranking.counts.pruned_documents == PRUNED


def test_several_devices_prune(model: Path) -> None:
    reranker = Reranker(model, backend="onnx", devices=["cpu", "cpu"], prune="auto")
    ranking = reranker.rank("a", TEXTS, top_n=2)
    assert [each.index for each in ranking] == [9, 8]
    assert ranking.counts.pruned_documents == PRUNED


def test_prune_is_one_of_the_options(model: Path) -> None:
    reranker = Reranker(model, prune="auto")
    assert reranker.options["prune"] == "auto"
    assert pickle.loads(pickle.dumps(reranker)).options == reranker.options
    assert "prune" not in Reranker(model).options


def test_a_bundle_prunes(model: Path, tmp_path: Path) -> None:
    files = find_files(LoadOptions(model=model), ["onnx"])
    bundle(replace(files, name="pruned"), tmp_path / "bundle")
    ranking = Reranker(tmp_path / "bundle").rank("a", TEXTS, top_n=2, prune="auto")
    assert ranking.counts.pruned_documents == PRUNED


def build_chain(folder: Path, *, margin: float) -> tuple[Path, Path]:
    """A model, whose estimator has one of its own with this margin; and the folder of that."""
    model = build(folder)
    estimating = estimator_of(model)
    first = add_estimator(next(_names))
    # It knows what the model will say.
    named = estimator(first, weights=tiny_models.WEIGHTS)
    describe(estimating, window=32, estimator={**named, "margin": margin})
    return model, first


@pytest.mark.parametrize(
    ("margin", "estimated", "kept"),
    # Of the two that the first one leaves, none can be given up.
    [(0.0, len(TEXTS), 2), (1e9, 2 * len(TEXTS), SURVIVORS)],
)
def test_an_estimator_may_have_an_estimator(
    tmp_path: Path, forwarded: list[Batch], margin: float, estimated: int, kept: int
) -> None:
    model, _ = build_chain(tmp_path / "model", margin=margin)
    reranker = Reranker(model, backend="onnx", precision="fp32")
    expected = facts(reranker.rank("a", TEXTS, top_n=2))
    reranker.warm_up()
    reranker.rank("a", TEXTS, top_n=2, prune="auto")
    forwarded.clear()
    ranking = reranker.rank("a", TEXTS, top_n=2, prune="auto")
    assert ranking.counts.pruned_documents == len(TEXTS) - kept
    assert sum(len(batch.input_ids) for batch in forwarded) == estimated + kept
    assert (facts(ranking), ranking.status) == (expected, "complete")


def test_without_the_first_estimator_the_second_sees_all(
    tmp_path: Path, forwarded: list[Batch], caplog: pytest.LogCaptureFixture
) -> None:
    model, first = build_chain(tmp_path / "model", margin=0.0)
    (first / "model.onnx").unlink()
    reranker = Reranker(model, backend="onnx", precision="fp32", prune="auto")
    with caplog.at_level(logging.WARNING, "resift"):
        reranker.rank("a", TEXTS, top_n=2)
    forwarded.clear()
    ranking = reranker.rank("a", TEXTS, top_n=2)
    assert ranking.counts.pruned_documents == PRUNED
    assert sum(len(batch.input_ids) for batch in forwarded) == len(TEXTS) + SURVIVORS
    assert ranking.status == "complete"
    (warning,) = (each for each in caplog.messages if each.endswith("estimates all documents"))
    assert first.name in warning


def test_estimators_that_name_each_other_are_each_asked_once(tmp_path: Path) -> None:
    model, first = build_chain(tmp_path / "model", margin=1e9)
    second = estimator_of(model)
    digest = json.loads((second / "card.json").read_text(encoding="utf-8"))["artifacts"][0]
    describe(
        first,
        window=32,
        estimator={"model": second.name, "sha256": digest["sha256"], "margin": 1e9},
    )
    ranking = Reranker(model, backend="onnx", precision="fp32").rank(
        "a", TEXTS, top_n=2, prune="auto"
    )
    assert (ranking.counts.pruned_documents, ranking.status) == (PRUNED, "complete")
