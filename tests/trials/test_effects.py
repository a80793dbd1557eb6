"""The effects of a ranker: places, queries helped and hurt, groups of queries, and the advice."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from resift.evaluation.intervals import Difference
from resift.trials.advice import advise
from resift.trials.agreement import agreement, effect, overlap
from resift.trials.collection import Candidate, Collection, Document
from resift.trials.curves import Knee
from resift.trials.groups import groups, thirds
from resift.trials.rankers import Ranker
from resift.trials.running import Ordered, Run
from resift.trials.significance import Comparison

QUERIES = [f"q{n}" for n in range(12)]


def run_of(orders: dict[str, list[int]], cut: dict[str, list[bool]] | None = None) -> Run:
    ordered = {
        query: Ordered(
            np.array(order),
            np.zeros(len(order)),
            np.array((cut or {}).get(query, [False] * len(order))),
            whole=True,
        )
        for query, order in orders.items()
    }
    return Run(Ranker("it", "it", None), ordered)


def collection_of(found: int = 12) -> Collection:
    names = [f"d{n}" for n in range(found)]
    return Collection(
        name="made up",
        queries={query: "word " * (n + 1) for n, query in enumerate(QUERIES)},
        candidates={query: [Candidate(name) for name in names] for query in QUERIES},
        documents={name: Document("word " * (10 + n)) for n, name in enumerate(names)},
        grades={query: {"d0": 1, "d1": 1} for query in QUERIES},
    )


def test_places_that_change() -> None:
    # Of the first ten, the eleventh and twelfth are new; the first stays.
    order = [0, 10, 11, *range(1, 10)]
    found = agreement(run_of({"a": order, "b": list(range(12))}), ["a", "b"])
    assert found.moved == 1
    assert found.same_first == 1
    assert found.queries == 2
    turned = agreement(run_of({"a": [2, 1, 0]}), ["a"])
    assert (turned.tau, turned.same_first) == (-1, 0)
    assert agreement(run_of({"a": [0]}), ["a"]).queries == 0


def test_rank_biased_overlap_is_that_of_its_definition() -> None:
    assert overlap([0, 1, 2]) == pytest.approx(1)
    # By hand: 0 of 1, 2 of 2.
    assert overlap([1, 0], 0.5) == pytest.approx((0 + 0.5 * 1) / 1.5)
    assert overlap([]) == 1


def test_queries_helped_and_hurt_come_with_the_most_first() -> None:
    first = np.full(12, 0.5)
    change = np.array([-0.4, -0.3, 0, 0, 0.1, 0.2, 0.3, -0.1, 0, 0, 0, 0])
    order = [3, 0, 1, 2, *range(4, 12)]
    found = effect(
        run_of(dict.fromkeys(QUERIES, order)), collection_of(), QUERIES, first + change, first
    )
    assert (found.helped, found.hurt, found.same) == (3, 3, 6)
    assert [each.query_id for each in found.worst] == ["q0", "q1", "q7"]
    assert [each.query_id for each in found.best] == ["q6", "q5", "q4"]
    worst = found.worst[0]
    assert [worst.before, worst.after] == pytest.approx([0.5, 0.1])
    assert [(x.id, x.grade, x.came) for x in worst.documents_before[:2]] == [
        ("d0", 1, 1),
        ("d1", 1, 2),
    ]
    assert [(x.id, x.grade, x.came) for x in worst.documents_after[:2]] == [
        ("d3", None, 4),
        ("d0", 1, 1),
    ]


def test_groups_are_by_length_and_by_what_was_cut() -> None:
    first, values = np.zeros(12), np.arange(12) / 12
    cut = {"q0": [True] + [False] * 11, "q1": [False] * 11 + [True]}
    run = run_of({each: list(range(12)) for each in QUERIES}, cut)
    found = groups(run, collection_of(), QUERIES, values, first)
    assert [(each.name, each.queries) for each in found.by_query] == [
        ("1 to 4 words", 4),
        ("5 to 8 words", 4),
        ("9 to 12 words", 4),
    ]
    assert found.by_query[0].ranked == pytest.approx(1.5 / 12)
    # One of the two relevant documents is enough, and others don't count.
    assert [(each.name, each.queries) for each in found.by_cut] == [
        ("a relevant document was cut", 1),
        ("none was cut", 11),
    ]
    assert found.cut_share == pytest.approx(2 / 144)
    assert thirds(np.zeros(0)) == []


def figures(
    quality: dict[str, float], compared: dict[str, tuple[float, float, float, float]], **more: Any
) -> Any:
    return SimpleNamespace(
        warnings=[],
        collection=SimpleNamespace(grades={"q": {}}, queries=dict.fromkeys(range(50))),
        runs=[SimpleNamespace(name=name, means={"nDCG@10": it}) for name, it in quality.items()],
        comparisons={
            "nDCG@10": {
                name: Comparison(
                    difference=Difference(mean=mean, low=low, high=high),
                    p=p,
                    p_holm=p,
                    queries=50,
                )
                for name, (mean, low, high, p) in compared.items()
            }
        },
        curves=[],
        **more,
    )


def test_the_advice_is_what_the_figures_say() -> None:
    better = (0.1, 0.05, 0.15, 0.001)
    near = figures({"none": 0.5, "small": 0.6, "large": 0.604}, {"small": better, "large": better})
    assert advise(near).startswith("Use small: nDCG@10 0.500 → 0.600, +0.1000 (+0.0500 to +0.1500)")
    far = figures({"none": 0.5, "small": 0.6, "large": 0.61}, {"small": better, "large": better})
    assert advise(far).startswith("Use large")
    unsure = figures({"none": 0.5, "small": 0.49}, {"small": (-0.01, -0.05, 0.03, 0.6)})
    assert advise(unsure).startswith("Nothing is better than none for certain")
    worse = figures({"none": 0.5, "small": 0.4}, {"small": (-0.1, -0.15, -0.05, 0.001)})
    assert advise(worse).startswith("Stay with none")
    near.curves = [
        SimpleNamespace(
            ranker="small",
            depths=[5, 50],
            knee=Knee(
                depth=5,
                kept=0.96,
                lost=Difference(mean=-0.004, low=-0.01, high=0.002),
                saved_ms=90.0,
                saved_share=0.9,
            ),
        )
    ]
    assert "5 candidates are enough: they keep 96 %" in advise(near)
    assert "-0.0040 (-0.0100 to +0.0020) against 50, and save 90 ms" in advise(near)
    near.collection.queries = dict.fromkeys(range(29))
    assert advise(near).endswith("With 29 queries, little is certain.")
