"""Choosing who takes part, in which setting, and by turns. Systems are fakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from gpu_benchmark.fakes import Clock

# Contenders.


def test_each_library_has_what_it_offers(at: Any) -> None:
    def named(shape: str, group: str, device: str = "cuda") -> dict[str, list[str]]:
        found = at.rerankers.contenders(at.shapes.find_shape(shape), group, device)
        return {each.name: [str(one) for one in each.settings] for each in found}

    best = named("bge-reranker-v2-m3", "best")
    assert list(best) == [
        "resift bf16",
        "resift fp16",
        "FlagEmbedding, best",
        "sentence-transformers, best",
    ]
    assert best["FlagEmbedding, best"] == [f"fp16, batches of {n}" for n in (32, 64, 128, 256)]
    assert len(best["sentence-transformers, best"]) == 16
    assert "bf16, flash_attention_2, batches of 256" in best["sentence-transformers, best"]
    gemma = named("bge-reranker-v2-gemma", "best")
    assert "bf16, batches of 32" in gemma["FlagEmbedding, best"]
    qwen = named("Qwen3-Reranker-0.6B", "best")
    assert not [each for each in qwen if each.startswith("FlagEmbedding")]
    assert named("bge-reranker-base", "default") == {
        "resift, as it comes": ["fp32"],
        "FlagEmbedding, as it comes": ["default"],
        "sentence-transformers, as it comes": ["default"],
    }
    on_cpu = named("bge-reranker-base", "best", "cpu")
    assert {one.split(",")[0] for each in on_cpu.values() for one in each} == {"fp32"}


def contender(at: Any, *batches: int) -> Any:
    opening = at.rerankers.Opening("other", "fp16")
    settings = tuple(at.rerankers.Setting(opening, each) for each in batches)
    return at.rerankers.Contender("other, best", settings)


def test_the_fastest_setting_is_kept(at: Any) -> None:
    clock, runs = Clock(), []

    def run(setting: Any) -> None:
        runs.append(setting.batch)
        if setting.batch == 64:
            raise MemoryError("out of memory. Advice.")
        # The first run of each has more to do.
        clock.now += {32: 0.2, 128: 0.15}[setting.batch] * (
            2 if runs.count(setting.batch) == 1 else 1
        )

    chosen = at.rounds.choose(contender(at, 32, 64, 128), run, clock)
    assert chosen.setting.batch == 128
    assert runs == [32, 32, 64, 128, 128, 128]
    assert [each.get("seconds") for each in chosen.tried] == [
        pytest.approx(0.2), None, pytest.approx(0.15),
    ]  # fmt: skip
    assert chosen.reason == "MemoryError: out of memory"


def test_nothing_is_tried_after_its_time(at: Any) -> None:
    clock = Clock()

    def run(setting: Any) -> None:
        clock.now += 6.0 / setting.batch

    chosen = at.rounds.choose(contender(at, 1, 2, 3), run, clock, until=7.0)
    assert chosen.setting.batch == 2
    assert "time" in chosen.tried[2]["failed"]
    # One has to run, however late it is.
    assert at.rounds.choose(contender(at, 1, 2), run, clock, until=0.0).setting.batch == 1


def test_a_contender_of_which_nothing_runs_says_why_once(at: Any) -> None:
    def run(_: Any) -> None:
        raise at.rounds.UnavailableError("FlagEmbedding is not installed")

    chosen = at.rounds.choose(contender(at, 1, 2, 3), run, Clock())
    assert (chosen.setting, chosen.reason) == (None, "FlagEmbedding is not installed")


# Rounds.


def test_systems_take_turns_and_the_first_round_does_not_count(at: Any) -> None:
    clock, calls = Clock(), []

    def system(name: str, seconds: float) -> Callable[[int], None]:
        def run(number: int) -> None:
            calls.append(f"{name}{number}")
            clock.now += seconds + (100 if number == 0 else 0)

        return run

    turns = at.rounds.by_turns({"a": system("a", 1), "b": system("b", 2)}, 2, clock)
    assert calls == ["a0", "b0", "b1", "a1", "a2", "b2"]
    assert turns.seconds == {"a": [1, 1], "b": [2, 2]}
    assert turns.failed == {}


def test_rounds_end_in_time_but_one_counts(at: Any) -> None:
    clock = Clock()

    def run(_: int) -> None:
        clock.now += 10

    assert len(at.rounds.by_turns({"a": run}, 50, clock, until=45).seconds["a"]) == 4
    assert len(at.rounds.by_turns({"a": run}, 50, clock, until=0).seconds["a"]) == 1


def test_a_system_that_fails_leaves_the_others_their_rounds(at: Any) -> None:
    def fails(number: int) -> None:
        if number == 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 9 GiB")

    turns = at.rounds.by_turns({"a": fails, "b": lambda _: None}, 3, Clock())
    assert list(turns.seconds) == ["b"]
    assert len(turns.seconds["b"]) == 3
    assert turns.failed == {"a": "RuntimeError: CUDA out of memory"}


def test_settings_are_tried_on_as_many_pairs_as_the_time_is_for(at: Any) -> None:
    def flop(lengths: Sequence[int]) -> float:
        return float(sum(lengths))

    assert at.rounds.part([10] * 100, flop, 205) == 21
    assert at.rounds.part([10] * 100, flop, 0) == 8
    assert at.rounds.part([10] * 5, flop, 1e9) == 5
