"""Cells, measured by a bench whose systems only take their time."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from gpu_benchmark.fakes import Clock, words

FLOPS = {"bf16": 1e12, "fp32": 1e11}


class Bench:
    """Has loads and scores as the real one; seconds are by setting."""

    name, around = "tiny", 4

    def __init__(self, at: Any, seconds: Callable[[Any], float]) -> None:
        self.at, self.seconds, self.clock = at, seconds, Clock()
        self.shape = at.shapes.find_shape("tiny")
        self.device = SimpleNamespace(name="cuda", is_gpu=True, watched=self._watched)
        self.asked: list[tuple[str, int]] = []

    def _watched(self, run: Callable[[], Any]) -> tuple[Any, Any]:
        return run(), self.at.accelerator.Used(3_000_000_000, 4_000_000_000)

    def load(self, kind: str, pairs: int, seed: int) -> Any:
        return self.at.gpu_loads.make_load(words, kind, pairs, seed)

    def weights(self, _: Any) -> int:
        return 2_000_000_000

    def score(self, setting: Any, load: Any) -> list[float]:
        self.asked.append((str(setting), len(load.documents)))
        self.clock.now += self.seconds(setting)
        return [0.5] * len(load.documents)

    def phases(self, setting: Any, _: Any) -> dict[str, float] | None:
        return {"tokenize": 0.25, "infer": 0.5} if setting.opening.system == "resift" else None

    def disagreement(self, _: Any) -> tuple[float, float]:
        return 1e-3, 0.25


def by_setting(setting: Any) -> float:
    one = setting.opening
    if one.attention == "flash_attention_2":
        raise ImportError("flash_attn isn't installed")
    if one.max_batch_tokens:
        return {4096: 0.3, 16_384: 0.1}.get(one.max_batch_tokens, 0.2)
    if one.system == "resift":
        return 0.1
    return 0.4 if setting.batch == 64 else 0.5


def measured(at: Any, part: str, bench: Any, minutes: float | None = None) -> list[Any]:
    effort = at.gpu_cells.Effort(pairs=30, counts=(100,), rounds=3, calls=4)
    budget = at.gpu_results.Budget(minutes, bench.clock)
    return [
        at.gpu_cells.measure(cell, bench, FLOPS, effort, budget)
        for cell in at.gpu_cells.cells("tiny", bench, [part], effort)
    ]


def test_a_cell_has_all_that_the_page_needs(at: Any) -> None:
    mixed, full = measured(at, "throughput", Bench(at, by_setting))
    assert (mixed["kind"], full["kind"], mixed["pairs"]) == ("mixed", "512", 30)
    best = mixed["systems"]["sentence-transformers, best"]
    assert best["setting"] == "bf16, sdpa, batches of 64"
    assert best["seconds"] == pytest.approx([0.4] * 3)
    assert len(best["tried"]) == 16
    assert sum("failed" in each for each in best["tried"]) == 8
    mine = mixed["systems"]["resift bf16"]
    assert mine["phases"] == {"tokenize": 0.25, "infer": 0.5}
    assert (mine["weights"], mine["peak"], mine["reserved"]) == (2e9, 3e9, 4e9)
    assert (mine["off"], len(mixed["flop"]), len(mixed["tokens"])) == (1e-3, 3, 3)
    figures = at.gpu_figures
    assert figures.times_as_fast(mixed, "resift bf16", "FlagEmbedding, best") == pytest.approx(4)
    assert figures.pairs_a_second(mixed, "resift bf16") == pytest.approx(300)
    share = figures.rate_share(mixed, "resift bf16", FLOPS["bf16"])
    assert share == pytest.approx(sorted(mixed["flop"])[1] / 0.1 / 1e12)


def test_who_can_not_take_part_has_a_reason(at: Any) -> None:
    def seconds(setting: Any) -> float:
        if setting.opening.system == "FlagEmbedding":
            raise at.rounds.UnavailableError("FlagEmbedding is not installed")
        # After it was tried, and the round that doesn't count.
        if str(setting) == "fp16" and [each for each, _ in bench.asked].count("fp16") > 4:
            raise RuntimeError("CUDA out of memory. Tried to allocate 9 GiB")
        return by_setting(setting)

    bench = Bench(at, seconds)
    cell, _ = measured(at, "throughput", bench)
    assert cell["failed"] == {
        "FlagEmbedding, best": "FlagEmbedding is not installed",
        "resift fp16": "RuntimeError: CUDA out of memory",
    }
    assert list(cell["systems"]) == ["resift bf16", "sentence-transformers, best"]


def test_a_sweep_compares_sizes_of_passes(at: Any) -> None:
    cells = measured(at, "sweep", Bench(at, by_setting))
    assert [(cell["kind"], cell["pairs"]) for cell in cells] == [("mixed", 30), ("256", 100)]
    means = at.gpu_figures.best_passes(cells)
    assert (means["16,384"], means["4,096"]) == (pytest.approx(1), pytest.approx(3))


def test_what_does_not_fit_is_not_begun(at: Any) -> None:
    bench = Bench(at, by_setting)
    (first, second) = measured(at, "throughput", bench, minutes=0.0)
    assert "--minutes" in first
    assert "--minutes" in second
    assert bench.asked == []
    slow = Bench(at, lambda setting: 40.0)
    cells = measured(at, "throughput", slow, minutes=5)
    assert [len(each["seconds"]) for each in cells[0]["systems"].values()] == [1, 1, 1, 1]
    assert isinstance(cells[1], str)


def test_a_slow_contender_takes_no_time_from_the_next_ones_choice(at: Any) -> None:
    cell, _ = measured(
        at,
        "throughput",
        Bench(at, lambda setting: 5.0 + 0.01 * setting.batch if setting.batch else 5.0),
    )
    tried = cell["systems"]["sentence-transformers, best"]["tried"]
    assert [each["seconds"] for each in tried[:8]] == pytest.approx(
        [5 + 0.01 * batch for batch in (32, 64, 128, 256)] * 2
    )
