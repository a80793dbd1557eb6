"""What the report is computed with, against examples worked out by hand."""

import math
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import by_text
import rankers
from by_text import Listed
from collection import Collection, read
from comparison import interval, measure, z_sum
from evaluate import report, table
from rankers import Columns, Systems


def collection(grades: dict[str, dict[str, int]], run: dict[str, list[str]]) -> Collection:
    ranked = {query: dict.fromkeys(documents, 0.0) for query, documents in run.items()}
    return Collection("made up", {}, dict.fromkeys(grades, "text"), grades, ranked, "digest")


def test_measures_of_a_ranking() -> None:
    found = collection({"a": {"x": 2, "y": 1, "z": 0}, "b": {"x": 1}}, {"a": ["z", "y", "x"]})
    values = measure(found, ["a", "b"], {"a": [0.9, 0.5, 0.1], "b": []})
    # Ranks 2 and 3 against the best order, 1 and 2.
    gained = 1 / math.log2(3) + 2 / math.log2(4)
    best = 2 / math.log2(2) + 1 / math.log2(3)
    assert values["ndcg@10"] == pytest.approx([gained / best, 0])
    assert values["mrr@10"] == pytest.approx([1 / 2, 0])


def test_measures_are_those_of_trec_eval() -> None:
    ir_measures = pytest.importorskip("ir_measures")
    rng = np.random.default_rng(0)
    names = [f"d{number}" for number in range(40)]
    queries = [f"q{number}" for number in range(30)]
    # A third of the judged documents aren't candidates, and most candidates aren't judged.
    grades = {
        query: {str(name): int(rng.integers(-1, 4)) for name in rng.choice(names, 9, replace=False)}
        for query in queries
    }
    run = {query: rng.permutation(names)[: rng.integers(1, 25)].tolist() for query in queries}
    found = collection(grades, run)
    values = measure(found, queries, {query: [0.0] * len(run[query]) for query in queries})
    kinds = {"ndcg@10": ir_measures.nDCG @ 10, "mrr@10": ir_measures.RR(rel=1) @ 10}
    for name, kind in kinds.items():
        judged = [
            ir_measures.Qrel(query, *each) for query in queries for each in grades[query].items()
        ]
        # By place, as trec_eval breaks ties by name.
        ranked = [
            ir_measures.ScoredDoc(query, document, -place)
            for query in queries
            for place, document in enumerate(run[query])
        ]
        wanted = {
            each.query_id: each.value for each in ir_measures.iter_calc([kind], judged, ranked)
        }
        assert values[name] == pytest.approx([wanted[query] for query in queries])
        assert 0 < values[name].mean() < 1


def test_equal_scores_keep_the_order_of_the_candidates() -> None:
    for candidates, rank in (["x", "y", "z"], 1), (["z", "y", "x"], 3):
        found = collection({"a": {"x": 1}}, {"a": candidates})
        values = measure(found, ["a"], {"a": [0.5, 0.5, 0.5]})
        assert values["mrr@10"] == pytest.approx([1 / rank])


def test_an_interval_of_one_constant_difference_is_that_difference() -> None:
    values = np.linspace(0, 1, 50)
    assert interval(values + 0.25, values) == pytest.approx((0.25, 0.25))


def test_an_interval_is_that_of_the_mean() -> None:
    values = np.random.default_rng(1).normal(0.1, 1, 400)
    low, high = interval(values, np.zeros(400))
    deviation = values.std() / math.sqrt(400)
    assert low == pytest.approx(values.mean() - 1.96 * deviation, abs=0.2 * deviation)
    assert high == pytest.approx(values.mean() + 1.96 * deviation, abs=0.2 * deviation)
    assert interval(values, np.zeros(400)) == (low, high)


def test_z_scores_weigh_systems_alike() -> None:
    assert z_sum([[0, 1], [100, 300]]) == pytest.approx([-2, 2])
    assert z_sum([[0, 1], [7, 7]]) == pytest.approx([-1, 1])
    assert z_sum([[], []]).shape == (0,)


class Letters:
    """An encoder whose vector of a token is a unit vector, special tokens having their own."""

    def __call__(self, ids: NDArray[np.int32]) -> NDArray[np.float32]:
        return np.eye(5, dtype=np.float32)[[3, *ids, 4]]


def test_the_parts_of_the_relevance_are_cosine_and_matches() -> None:
    queries = {"a": np.array([0, 1], np.int32), "b": np.array([], np.int32)}
    documents = {
        np.array([0], np.int32).tobytes(): [("a", 0), ("b", 0)],
        np.array([2], np.int32).tobytes(): [("a", 1)],
    }
    parts = by_text.score(Letters(), Listed(queries, documents, {"a": 2, "b": 1}))
    # [CLS] 0 1 [SEP] with [CLS] 0 [SEP] and with [CLS] 2 [SEP]: three, then two tokens in common.
    assert parts["a"].cosine == pytest.approx([3 / math.sqrt(12), 2 / math.sqrt(12)])
    assert parts["a"].match == pytest.approx([1 / 2, 0])
    # No inner token.
    assert parts["b"].cosine == pytest.approx([2 / math.sqrt(6)])
    assert parts["b"].match == pytest.approx([0])


COLLECTION = Collection(
    "tiny",
    {"x": "one", "y": "two"},
    {"a": "first", "b": "second"},
    {"a": {"x": 1}, "b": {"y": 1}},
    {"a": {"x": 2.0, "y": 1.0}, "b": {"x": 3.0, "y": 2.0}},
    "digest",
)


class Counting:
    digest = "counting"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def score(
        self, collection: Collection, queries: Sequence[str]
    ) -> Iterator[tuple[str, Columns]]:
        for query in queries:
            self.asked.append(query)
            columns: Columns = {"logit": [float(len(text)) for text in collection.texts(query)]}
            yield query, columns


def test_scores_are_kept_and_continued_after_a_stop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Counting()
    monkeypatch.setattr(rankers.Systems, "_open", lambda *_: source)
    Systems(tmp_path, 1).scores("any-int8", COLLECTION, ["a"])
    (kept,) = tmp_path.iterdir()
    whole = kept.read_text(encoding="utf-8")
    kept.write_text(whole + '{"query": "b", "sco', encoding="utf-8")
    scores = Systems(tmp_path, 1).scores("any-int8", COLLECTION, ["a", "b"])
    assert scores == {"a": [3.0, 3.0], "b": [3.0, 3.0]}
    assert source.asked == ["a", "b"]
    assert Systems(tmp_path, 1).scores("any-int8", COLLECTION, ["a", "b"]) == scores
    assert source.asked == ["a", "b"]


def test_texts_encoded_once_have_the_engines_scores(tmp_path: Path) -> None:
    systems, asked = Systems(tmp_path, 1), list(COLLECTION.queries)
    expected = systems.scores("nano-fp32", COLLECTION, asked)
    found = systems.scores("nano-fp32-by-text", COLLECTION, asked)
    assert found.keys() == expected.keys()
    for query, scores in expected.items():
        assert found[query] == pytest.approx(scores, abs=1e-4)


def test_an_unknown_system_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no system 'nothing-int8'"):
        Systems(tmp_path, 1).scores("nothing-int8", COLLECTION, ["a"])


def test_the_table_marks_what_is_below_a_baseline() -> None:
    good, bad = np.full(30, 0.5), np.full(30, 0.25)
    values = {
        name: {"ndcg@10": each, "mrr@10": good}
        for name, each in (("first_stage", bad), ("v0", good), ("new", bad))
    }
    found = report(values)
    assert found["ndcg@10"]["new"] == {
        "mean": 0.25,
        "over_first_stage": [0, 0],
        "over_v0": [-0.25, -0.25],
    }
    lines = table("tiny", {"queries": 30, **found}).splitlines()
    assert [line.count("▼") for line in lines] == [0, 0, 1, 0, 1]


def test_an_archive_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    files = {
        "corpus.jsonl": '{"_id": "x", "title": "A", "text": "one "}\n{"_id": "y", "text": "two"}\n',
        "queries.jsonl": '{"_id": "a", "text": "first"}\n{"_id": "b", "text": "not judged"}\n',
        "qrels/test.tsv": "query-id\tcorpus-id\tscore\na\tx\t1\n",
        "run.bm25.txt": "a Q0 y 1 2.5 bm25\na Q0 x 2 2.5 bm25\n",
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    archive = Path(shutil.make_archive(str(tmp_path / "tiny"), "gztar", tmp_path, "tiny"))
    found = read(archive)
    assert (found.name, found.documents) == ("tiny", {"x": "A one", "y": "two"})
    assert (found.queries, found.grades) == ({"a": "first"}, {"a": {"x": 1}})
    assert found.texts("a") == ["two", "A one"]
