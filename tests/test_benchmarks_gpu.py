"""benchmarks/gpu: operations, loads, choices, turns and time. Devices and systems are fakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


@pytest.fixture
def at(module: Callable[[str], ModuleType]) -> Any:
    names = "accelerator gpu_cells gpu_figures gpu_loads gpu_results rerankers rounds shapes"
    return SimpleNamespace(**{name: module(name) for name in names.split()})


class Clock:
    """A clock that goes on when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


# Operations.


@pytest.mark.parametrize(("window", "causal"), [(0, False), (4, False), (5, False), (0, True)])
def test_attention_is_counted_where_a_mask_leaves_it(at: Any, window: int, causal: bool) -> None:
    shape = at.shapes.Shape(
        kind="gemma" if causal else "modernbert",
        hidden=8, layers=3, heads=2, inner=16, vocabulary=10, positions=64,
        window=window, whole_each=3 if window else 1,
    )  # fmt: skip
    for length in (1, 2, 5, 9, 20):
        index = range(length)

        def seen(a: int, b: int, side: int) -> bool:
            return b <= a if causal else abs(a - b) <= side

        local = sum(seen(a, b, window // 2 if window else 99) for a in index for b in index)
        whole = sum(seen(a, b, 99) for a in index for b in index)
        attention = whole + 2 * (local if window else whole)
        weights = 3 * (4 * 8 * 8 + 3 * 8 * 16)
        assert shape.flop([length]) == 2 * weights * length + 4 * 8 * attention


def test_shapes_are_those_published(at: Any) -> None:
    """Parameters in millions, by the models' cards, less what isn't a layer or the vocabulary."""
    expected = {
        "bge-reranker-base": 278,
        "bge-reranker-large": 560,
        "bge-reranker-v2-m3": 568,
        "bge-reranker-v2-gemma": 2510,
        "Qwen3-Reranker-0.6B": 596,
        "ModernBERT-base": 150,
    }
    assert set(at.shapes.SHAPES) == set(expected)
    for name, millions in expected.items():
        assert at.shapes.find_shape(name).bytes / 4e6 == pytest.approx(millions, rel=0.02)
    with pytest.raises(ValueError, match="bge-reranker-base"):
        at.shapes.find_shape("bge")


# The device.


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("NVIDIA H200", "h200"),
        ("NVIDIA GeForce RTX 4090", "rtx-4090"),
        ("NVIDIA H100 80GB HBM3", "h100-80gb-hbm3"),
    ],
)
def test_results_go_to_a_folder_of_the_gpus_name(at: Any, name: str, folder: str) -> None:
    device = at.accelerator.Accelerator("cuda")
    vars(device)["_torch"] = SimpleNamespace(cuda=SimpleNamespace(get_device_name=lambda _: name))
    assert device.folder() == folder
    assert at.accelerator.Accelerator("cpu").folder() == "cpu"


def test_memory_is_counted_from_an_empty_cache(at: Any) -> None:
    calls: list[str] = []
    figures = {
        "memory_allocated": 100,
        "memory_reserved": 200,
        "max_memory_allocated": 170,
        "max_memory_reserved": 600,
    }
    cuda = SimpleNamespace(
        empty_cache=lambda: calls.append("empty"),
        reset_peak_memory_stats=lambda _: calls.append("reset"),
        synchronize=lambda _: calls.append("wait"),
        **{name: lambda _, value=value: value for name, value in figures.items()},
    )
    device = at.accelerator.Accelerator("cuda")
    vars(device)["_torch"] = SimpleNamespace(cuda=cuda)

    def run() -> int:
        calls.append("run")
        return 7

    found = device.watched(run)
    assert found == (7, at.accelerator.Used(70, 400))
    assert calls == ["empty", "reset", "run", "wait"]


# Loads.


def words(query: str, document: str) -> int:
    return 4 + sum(1 + len(each) // 5 for each in f"{query} {document}".split())


def test_loads_have_the_lengths_that_they_say(at: Any) -> None:
    make = at.gpu_loads.make_load
    load = make(words, "mixed", 60, 1)
    assert load == make(words, "mixed", 60, 1)
    assert load != make(words, "mixed", 60, 2)
    assert [words(load.query, each) for each in load.documents] == list(load.lengths)
    assert min(load.lengths) < 100 < 400 < max(load.lengths) <= 500
    full = make(words, "512", 20, 1)
    assert all(508 <= each <= 512 for each in full.lengths)
    assert len(set(full.documents)) == 20
    assert full.first(3).documents == full.documents[:3]


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


# A cell, with a bench whose systems only take their time.

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
