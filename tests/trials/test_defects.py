"""Each defect is named where it was planted, and nothing is named where nothing was."""

from __future__ import annotations

import math
import random
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from trials.made import collection

from resift.trials import Collection
from resift.trials.collection import Candidate, Document, appearances
from resift.trials.defects import results, scores, shards, swapped, texts
from resift.trials.defects.all import of_collection


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Collection:
    return collection(tmp_path_factory.mktemp("clean") / "c", queries=60, documents=200, found=40)


def names(found: Collection) -> list[str]:
    return [each.name for each in of_collection(found)]


def with_texts(found: Collection, change: Callable[[str, str], str]) -> Collection:
    documents = {n: Document(change(n, each.text)) for n, each in found.documents.items()}
    return replace(found, documents=documents)


def with_lists(
    found: Collection, change: Callable[[str, list[Candidate]], list[Candidate]]
) -> Collection:
    listed = {query: change(query, list(each)) for query, each in found.candidates.items()}
    corpus = replace(found.corpus, appearances=appearances(listed))
    return replace(found, candidates=listed, corpus=corpus)


def with_scores(found: Collection, change: Callable[[float], float]) -> Collection:
    return with_lists(
        found, lambda _, listed: [Candidate(x.id, change(x.score or 0.0)) for x in listed]
    )


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def some(name: str) -> bool:
    return random.Random(name).random() < 0.2


def test_nothing_is_said_of_clean_data(clean: Collection) -> None:
    assert names(clean) == []


def test_a_cut_field(clean: Collection) -> None:
    assert names(with_texts(clean, lambda _, text: text[:60])) == ["cut field"]
    assert names(with_texts(clean, lambda name, t: t[:60] if some(name) else t)) == ["cut field"]
    assert names(with_texts(clean, lambda _, text: " ".join(text.split()[:12]))) == ["cut field"]
    assert names(with_texts(clean, lambda name, t: "" if some(name) else t)) == ["empty texts"]
    same = "An error has happened."
    assert names(with_texts(clean, lambda name, t: same if some(name) else t)) == ["constant texts"]


def test_texts_that_contradict_each_other() -> None:
    long = {f"d{n}": ("the beginning", "the beginning and the end") for n in range(9)}
    found = texts.contradicted(long, 20)
    assert found is not None
    assert (found.name, found.where) == ("cut field", "first stage")
    other = texts.contradicted({"d": ("one", "two")}, 20)
    assert other is not None
    assert other.name == "contradicting texts"
    assert texts.contradicted({}, 20) is None


def test_titles_that_some_lack_are_a_note() -> None:
    documents = {f"d{n}": Document("text", "title" if n % 3 else "") for n in range(60)}
    found = texts.missing_titles(documents)
    assert found is not None
    assert found.level == "note"
    assert texts.missing_titles({f"d{n}": Document("text") for n in range(60)}) is None


def test_a_doubled_sigmoid(clean: Collection) -> None:
    doubled = with_scores(clean, lambda x: sigmoid(sigmoid((x - 20) / 3)))
    assert "doubled sigmoid" in names(doubled)
    once = with_scores(clean, lambda x: sigmoid((x - 20) / 3))
    assert "doubled sigmoid" not in names(once)
    # Cosines of a dense first stage may lie in the same range.
    cosines = {"q": np.linspace(0.53, 0.70, 50)}
    assert scores.doubled_sigmoid(cosines, "first stage") is None


def test_scores_that_tell_nothing_apart(clean: Collection) -> None:
    assert "constant scores" in names(with_scores(clean, lambda _: 1.0))
    assert "saturated scores" in names(with_scores(clean, lambda x: min(x, 25.0)))
    # Ranks of two lists, fused, are equal in pairs.
    fused = {"q": np.repeat(np.arange(30.0), 2)}
    assert scores.saturated(fused, "first stage") is None


def test_scores_against_the_order(clean: Collection) -> None:
    found = of_collection(with_scores(clean, lambda x: -x))
    assert [each.name for each in found] == ["scores against the order"]
    assert "distances" in found[0].advice
    assert scores.against_order({"q": np.array([3.0, 2.0, 1.0])}, "x", contradicted=1) is not None


def test_scores_that_are_missing() -> None:
    given = {"q": np.array([1.0, np.nan, 0.5])}
    assert scores.not_finite(given, "first stage", 2) is not None
    assert scores.not_finite({"q": np.full(3, np.nan)}, "first stage", 0) is None


def test_an_order_that_is_turned_round() -> None:
    rng = np.random.default_rng(0)
    good, bad = rng.uniform(0.5, 1, 40), rng.uniform(0, 0.3, 40)
    assert scores.reversed_order(bad, good, "x") is not None
    assert scores.reversed_order(good, bad, "x") is None


@pytest.mark.parametrize(
    "lost",
    [
        lambda name: zlib.crc32(name.encode()) % 4 == 1,
        lambda name: int(name[1:]) % 5 == 3,
        lambda name: 10 <= int(name[1:]) < 35,
        # Whatever the hash.
        lambda name: random.Random(f"shard {name}").random() < 0.25,
    ],
)
def test_a_broken_shard(clean: Collection, lost: Callable[[str], bool]) -> None:
    broken = with_lists(clean, lambda _, listed: [x for x in listed if not lost(x.id)])
    assert "broken shard" in names(broken)


def test_a_broken_shard_of_ids_alone() -> None:
    found = {f"d{n}" for n in range(800)}
    assert shards.missing_remainder(found) is None
    broken = {name for name in found if zlib.crc32(name.encode()) % 3 != 2}
    assert shards.missing_remainder(broken) is not None


def test_results_that_are_wrong(clean: Collection) -> None:
    some_empty = with_lists(clean, lambda q, listed: [] if q in ("q1", "q2") else listed)
    assert "queries without results" in names(some_empty)
    one = list(clean.candidates["q0"])
    same = with_lists(clean, lambda q, listed: one if q in ("q3", "q4", "q5") else listed)
    assert "identical results" in names(same)
    twice = with_lists(clean, lambda _, listed: [*listed[:5], listed[4], *listed[5:]])
    assert "duplicates" in names(twice)
    unknown = {name: each for name, each in clean.documents.items() if name != "d7"}
    assert "unknown documents" in names(replace(clean, documents=unknown))
    ids = [each for each in clean.corpus.ids if each not in ("d1", "d2")]
    judged = replace(clean, corpus=replace(clean.corpus, ids=ids))
    assert "judged documents missing" in names(judged)
    assert "judged queries missing" in names(replace(clean, queries_without_text=3))


def test_questions_that_differ_in_a_word_may_have_the_same_results() -> None:
    listed = {"a": list("abcdefg"), "b": list("abcdefg")}
    alike = {"a": "drug X lowers the pressure", "b": "drug X raises the pressure"}
    assert results.identical(listed, alike) is None
    assert results.identical(listed, {"a": "one thing", "b": "quite another"}) is not None


def test_results_that_nobody_judged_are_a_note() -> None:
    grades = {"q": {f"d{n}": 1 for n in range(12)}}
    found = results.unjudged(grades, {"q": [f"x{n}" for n in range(10)]})
    assert found is not None
    assert found.level == "note"
    assert results.unjudged(grades, {"q": [f"d{n}" for n in range(10)]}) is None


def test_a_defect_is_written_as_json(tmp_path: Path) -> None:
    found = scores.constant({"q": np.ones(5)}, "mine")
    assert found is not None
    assert found.to_dict()["where"] == "mine"


def test_results_of_other_queries() -> None:
    some = [f"q{n}" for n in range(0, 60, 6)]
    others = dict(zip(some, [*some[1:], some[0]], strict=True))
    texts = {f"d{n}": f"alpha{n % 60} beta{n % 60} gamma{n}" for n in range(180)}
    queries = {f"q{n}": f"alpha{n} beta{n}" for n in range(60)}
    own = {f"q{n}": [f"d{n + 60 * each}" for each in range(3)] for n in range(60)}
    assert swapped.of_others(queries, own, texts.__getitem__) is None
    given = {query: own[others.get(query, query)] for query in queries}
    defect = swapped.of_others(queries, given, texts.__getitem__)
    assert defect is not None
    assert defect.evidence["queries"] == len(some)
    assert set(defect.evidence["examples"]) < set(some)
    # Two may be chance, and in another language there is nothing to compare.
    two = {**own, "q1": own["q2"], "q2": own["q1"]}
    assert swapped.of_others(queries, two, texts.__getitem__) is None
    foreign = {query: text.replace("a", "o") for query, text in queries.items()}
    assert swapped.of_others(foreign, given, texts.__getitem__) is None
    # An order that is turned round is another defect.
    far = {query: [*(f"d{n}" for n in range(170, 174)), *listed] for query, listed in own.items()}
    assert swapped.of_others(queries, far, texts.__getitem__) is None


def test_results_of_other_queries_are_seen_in_a_collection(tmp_path: Path) -> None:
    found = collection(tmp_path / "c", queries=30, documents=200, found=20)
    documents = {
        name: Document(f"{each.text} {' '.join(f'word{name}x{n}' for n in range(6))}")
        for name, each in found.documents.items()
    }
    # Each question has words of its own document alone, which is found first.
    texts = {q: " ".join(f"word{q.replace('q', 'd')}x{n}" for n in range(6)) for q in found.queries}
    own = {
        q: [Candidate(q.replace("q", "d"), 99.0), *listed] for q, listed in found.candidates.items()
    }
    made = replace(found, documents=documents, queries=texts, candidates=own)
    assert "swapped queries" not in names(made)
    queries = list(own)
    moved = dict(zip(queries, [own[each] for each in [*queries[1:], queries[0]]], strict=True))
    assert "swapped queries" in names(replace(made, candidates=moved))


def test_a_text_that_many_have_is_constant_and_not_cut(clean: Collection) -> None:
    same = "An error has happened while this was read, so there is nothing here"
    found = with_texts(clean, lambda name, t: same if some(name) else t)
    assert names(found) == ["constant texts"]
    short = with_texts(clean, lambda _, t: t[:13])
    assert "cut field" not in names(short)
