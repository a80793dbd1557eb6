"""Measures are those of ``ir_measures`` itself, and tests of significance what they should be."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resift.evaluation.intervals import paired_bootstrap
from resift.evaluation.measures import ndcg, reciprocal_rank
from resift.trials.collection import Candidate, Collection
from resift.trials.curves import depths, front, knee
from resift.trials.measuring import MEASURES, means, measure
from resift.trials.running import Run
from resift.trials.significance import compare, holm, paired_randomization
from resift.trials.timing import slow


def judged(grades: dict[str, dict[str, int]], found: dict[str, list[str]]) -> Collection:
    return Collection(
        name="made up",
        queries=dict.fromkeys(grades, "text"),
        candidates={q: [Candidate(each) for each in listed] for q, listed in found.items()},
        documents={},
        grades=grades,
    )


documents = st.sampled_from([f"d{n}" for n in range(12)])


@settings(max_examples=40, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["a", "b", "c"]),
        st.tuples(
            st.dictionaries(documents, st.integers(-1, 3), min_size=1),
            st.lists(documents, unique=True, max_size=12),
        ),
        min_size=1,
    )
)
def test_measures_are_those_worked_out_from_grades(
    content: dict[str, tuple[dict[str, int], list[str]]],
) -> None:
    grades = {query: each for query, (each, _) in content.items()}
    found = judged(grades, {query: listed for query, (_, listed) in content.items()})
    orders = {query: range(len(listed)) for query, (_, listed) in content.items()}
    values = measure(found, orders, list(grades))
    for place, (own, listed) in enumerate(content.values()):
        ranked = [own.get(each, 0) for each in listed]
        wanted = ndcg(ranked, list(own.values()), gains="linear", k=10)
        assert values["nDCG@10"][place] == pytest.approx(wanted)
        assert values["RR@10"][place] == pytest.approx(reciprocal_rank(ranked, k=10))
        assert values["Success@1"][place] == (bool(ranked) and ranked[0] > 0)
        if listed:
            seen = sum(each in own for each in listed[:10]) / min(10, len(listed))
            assert values["Judged@10"][place] == pytest.approx(seen)


def test_the_order_counts_and_not_the_ids(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [f"d{n}" for n in range(30)]
    grades = {
        f"q{n}": {str(x): int(rng.integers(0, 3)) for x in rng.choice(names, 9)} for n in range(20)
    }
    # One judged query wasn't found anything for.
    found = {f"q{n}": rng.permutation(names)[:15].tolist() for n in range(19)}
    (tmp_path / "qrels").write_text(
        "".join(f"{q} 0 {d} {g}\n" for q, each in grades.items() for d, g in each.items()),
        encoding="utf-8",
    )
    rows = [f"{q} Q0 {d} {r} {-r} x\n" for q, each in found.items() for r, d in enumerate(each)]
    (tmp_path / "run").write_text("".join(rows), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "ir_measures", tmp_path / "qrels", tmp_path / "run", *MEASURES],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    theirs = dict(line.split("\t") for line in done.stdout.splitlines())
    orders = {query: list(range(15)) for query in found}
    ours = means(measure(judged(grades, found), orders, list(grades)))
    for name in MEASURES:
        if name != "Judged@10":  # Theirs leaves out the query without candidates.
            assert ours[name] == pytest.approx(float(theirs[name]), abs=1e-4), name


def test_randomization_finds_differences_and_no_others() -> None:
    rng = np.random.default_rng(0)
    noise, more = rng.normal(size=60), rng.normal(size=60)
    assert paired_randomization(noise + 1, noise + 0.2 * more) < 0.001
    assert paired_randomization(noise, noise) == 1
    ps = [paired_randomization(rng.normal(size=20), rng.normal(size=20)) for _ in range(100)]
    assert 0 < sum(each < 0.1 for each in ps) < 25
    # By hand: of 2 ** 4 signs, two are as extreme.
    few = paired_randomization(np.ones(4), np.zeros(4))
    assert few == pytest.approx(2 / 16, abs=0.02)


def test_holm_is_that_of_the_paper() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_rankers_are_compared_with_the_first() -> None:
    rng = np.random.default_rng(1)
    first = rng.uniform(size=50)
    found = compare({"none": first, "better": first + 0.1, "same": first})
    assert list(found) == ["better", "same"]
    assert found["better"].certain
    assert found["better"].difference.low == pytest.approx(0.1)
    assert not found["same"].certain
    assert found["same"].queries == 50


def test_the_knee_keeps_most_of_the_gain() -> None:
    first = np.zeros(10)
    values = [np.full(10, each) for each in (0.1, 0.29, 0.3, 0.3)]
    found = knee([5, 10, 20, 30], values, first, [1.0, 2.0, 4.0, 8.0])
    assert found is not None
    assert found.depth == 10
    assert found.saved_ms == 6
    assert found.saved_share == pytest.approx(6 / 8)
    assert found.lost.mean == pytest.approx(-0.01)
    # 95 % of the largest gain, and no less.
    for gain, depth in ((0.284, 20), (0.286, 10)):
        values[1] = np.full(10, gain)
        found = knee([5, 10, 20, 30], values, first, None)
        assert found is not None
        assert found.depth == depth
        assert found.saved_ms is None
    assert knee([5], [np.full(10, -0.1)], first, None) is None
    assert depths(30) == [5, 10, 20, 30]
    assert depths(7) == [5, 7]


def test_the_front_has_what_nothing_beats() -> None:
    points = {"a": (0.0, 0.1), "b": (5.0, 0.3), "c": (6.0, 0.2), "d": (9.0, 0.3), "e": (9.0, 0.4)}
    assert front(points) == ["a", "b", "e"]


def test_a_run_at_a_depth_leaves_the_rest() -> None:
    from resift.trials.rankers import Ranker
    from resift.trials.running import Ordered

    each = Ordered(np.array([3, 0, 2, 1]), np.zeros(4), np.zeros(4, bool), whole=True)
    run = Run(Ranker("x", "x", None), {"q": each})
    assert run.at_depth(3) == {"q": [0, 2, 1, 3]}
    assert run.at_depth(9) == {"q": [3, 0, 2, 1]}


@pytest.mark.parametrize("count", [1, 2, 9, 10, 11, 50])
def test_nine_of_ten_took_at_most_this(count: int) -> None:
    found = slow([float(each) for each in range(count, 0, -1)])
    assert found == next(each for each in range(1, count + 1) if each >= 0.9 * count)


def test_the_same_seed_gives_the_same_figures() -> None:
    rng = np.random.default_rng(3)
    one, other = rng.normal(0.2, 1, 40), rng.normal(0, 1, 40)
    assert paired_randomization(one, other, seed=1) == paired_randomization(one, other, seed=1)
    assert paired_randomization(one, other, seed=1) != paired_randomization(one, other, seed=2)
    assert paired_bootstrap(one, other, seed=1) == paired_bootstrap(one, other, seed=1)
    assert paired_bootstrap(one, other, seed=1) != paired_bootstrap(one, other, seed=2)
    assert paired_randomization(np.full(60, 1.0), np.zeros(60)) == pytest.approx(1 / 10_001)


def test_an_interval_leaves_out_5_percent() -> None:
    difference = np.random.default_rng(0).normal(size=400)
    found = paired_bootstrap(difference, np.zeros(400))
    half = 1.96 * difference.std() / 20
    assert found.mean == pytest.approx(difference.mean())
    assert found.low == pytest.approx(found.mean - half, abs=0.05 * half)
    assert found.high == pytest.approx(found.mean + half, abs=0.05 * half)


def test_a_document_that_was_found_twice_counts_where_it_is_first() -> None:
    grades = {"q": {"a": 1, "b": 0}}
    found = judged(grades, {"q": ["a", "b", "a"]})
    values = measure(found, {"q": range(3)}, ["q"])
    assert values["nDCG@10"][0] == pytest.approx(1.0)
    assert values["AP"][0] == pytest.approx(1.0)
    assert values["Judged@10"][0] == pytest.approx(1.0)
