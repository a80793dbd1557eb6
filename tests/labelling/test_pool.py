"""Pools of what rankers found."""

from __future__ import annotations

import gzip
import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from resift import InvalidRequestError
from resift.files.recorded import Recorded, RecordedDocument, read_recorded
from resift.labelling.pool import Pool, pooled, shuffled, union

names = st.text(min_size=1, max_size=3)
rankings = st.lists(names, unique=True, max_size=12)
searches = st.lists(st.tuples(names, st.lists(rankings, min_size=1, max_size=3)), max_size=6)


def recorded(given: list[tuple[str, list[list[str]]]]) -> list[Recorded]:
    return [
        Recorded(
            query_id=query,
            query=f"? {query}",
            candidates=tuple(RecordedDocument(id=n, text=f"text of {n}") for n in ranking),
        )
        for query, own in given
        for ranking in own
    ]


def ids(pool: Pool) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for pair in pool.pairs:
        found.setdefault(pair.query_id, []).append(pair.document_id)
    return found


@given(searches, st.integers(1, 12), st.integers())
def test_a_pool_is_the_first_of_each_ranker_once(
    given: list[tuple[str, list[list[str]]]], depth: int, seed: int
) -> None:
    wanted: dict[str, set[str]] = {}
    for query, own in given:
        wanted.setdefault(query, set()).update(name for each in own for name in each[:depth])
    wanted = {query: found for query, found in wanted.items() if found}
    if not wanted:
        with pytest.raises(InvalidRequestError, match="no candidates"):
            pooled(recorded(given), depth=depth, seed=seed)
        return
    pool = pooled(recorded(given), depth=depth, seed=seed)
    found = ids(pool)
    assert {query: set(own) for query, own in found.items()} == wanted
    assert len(pool.pairs) == sum(map(len, wanted.values()))
    # A query's pairs are together, and queries come as they were asked.
    assert list(dict.fromkeys(pair.query_id for pair in pool.pairs)) == [
        query for query in dict.fromkeys(query for query, _ in given) if query in wanted
    ]
    assert [list(found)] == [list(dict.fromkeys(pair.query_id for pair in pool.pairs))]


@given(searches, st.randoms(use_true_random=False), st.integers(1, 12))
def test_the_order_does_not_say_who_found_what(
    given: list[tuple[str, list[list[str]]]], random: Any, depth: int
) -> None:
    given = [*given, ("q", [["a"]])]
    other = [(query, random.sample(own, len(own))) for query, own in given]
    random.shuffle(other)
    assert ids(pooled(recorded(given), depth=depth)) == ids(pooled(recorded(other), depth=depth))


@given(names, st.sets(names), st.sets(names), st.integers())
def test_a_larger_pool_keeps_the_order_of_a_smaller(
    query: str, some: set[str], more: set[str], seed: int
) -> None:
    larger = shuffled(query, some | more, seed)
    assert [name for name in larger if name in some] == shuffled(query, some, seed)


def test_seeds_and_queries_give_other_orders() -> None:
    ranked = [f"d{n}" for n in range(10)]
    orders = {
        tuple(shuffled(query, ranked, seed)) for query in ("a", "b") for seed in range(10)
    } | {tuple(ranked)}
    assert len(orders) == 21


@given(st.lists(rankings), st.integers(1, 12))
def test_a_union_never_grows_by_repeats(given: list[list[str]], depth: int) -> None:
    assert union(given, depth) == union([*given, *given], depth) <= union(given, depth + 1)


def write(path: Path, *lines: Any) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    return path


def search(query: str, *candidates: dict[str, Any]) -> dict[str, Any]:
    return {"query_id": query, "query": f"text of {query}", "candidates": list(candidates)}


def test_the_first_stage_and_the_reranker_are_two_rankers(tmp_path: Path) -> None:
    texts = [{"id": f"d{n}", "text": f"{n}"} for n in range(6)]
    by_rank = [{**each, "rank": rank} for each, rank in zip(texts, (6, 5, 4, 3, 2, 1), strict=True)]
    by_score = [
        {**each, "rank_score": score}
        for each, score in zip(texts, (0.1, 0.2, 0.9, None, 0.3, 0.8), strict=True)
    ]
    path = write(tmp_path / "found.jsonl", search("a", *by_rank), search("b", *by_score))
    found = ids(pooled(read_recorded(path), depth=2))
    assert {query: set(own) for query, own in found.items()} == {
        "a": {"d0", "d1", "d4", "d5"},
        "b": {"d0", "d1", "d2", "d5"},
    }


def test_files_are_pooled_and_lend_each_other_texts(tmp_path: Path) -> None:
    one = write(tmp_path / "one.jsonl", {**search("a", {"id": "d0"}, {"id": 7}), "query": None})
    two = tmp_path / "two.jsonl.gz"
    line = search("a", {"id": "d0", "text": "zero"}, {"id": "d9", "text": "nine"})
    two.write_bytes(gzip.compress(json.dumps(line).encode()))
    three = write(tmp_path / "three.jsonl", search("b", {"id": "7", "text": "seven"}))
    pool = pooled(chain.from_iterable(map(read_recorded, (one, two, three))))
    assert {(*pair.key, pair.query, pair.document) for pair in pool.pairs} == {
        ("a", "d0", "text of a", "zero"),
        ("a", "7", "text of a", "seven"),
        ("a", "d9", "text of a", "nine"),
        ("b", "7", "text of b", "seven"),
    }
    assert pool.contradicted == 0
    other = write(tmp_path / "other.jsonl", search("a", {"id": "d0", "text": "not zero"}))
    again = chain.from_iterable(map(read_recorded, (one, two, other, three)))
    assert pooled(again).contradicted == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", r"found\.jsonl:2 isn't JSON"),
        ("[]", r"found\.jsonl:2 must be a JSON object"),
        ('{"query": "a", "candidates": []}', "'query_id' must be a str"),
        ('{"query_id": "a", "candidates": ["text"]}', "'candidates' must be a list of objects"),
        ('{"query_id": "a", "candidates": [{"text": "a"}]}', "'id' must be a str"),
        ('{"query_id": "a", "candidates": [{"id": "a", "text": 5}]}', "'text' must be a str"),
        ('{"query_id": "a", "candidates": [{"id": "a", "rank": "1"}]}', "'rank' must be a number"),
        ('{"query_id": "q", "query": "another", "candidates": []}', "query 'q' was 'text of q'"),
        ('{"query_id": "a", "candidates": [{"id": "d", "text": "t"}]}', "query 'a' has no text"),
        ('{"query_id": "q", "candidates": [{"id": "d"}]}', "document 'd' has no text"),
    ],
)
def test_a_line_that_is_wrong_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = write(tmp_path / "found.jsonl", search("q", {"id": "e", "text": "t"}))
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
    with pytest.raises(InvalidRequestError, match=said):
        pooled(read_recorded(path))
