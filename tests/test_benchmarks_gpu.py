"""benchmarks/gpu: what is chosen, left out, kept and reported. Devices and systems are fakes."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "benchmarks/gpu.py"
TRIAL = Path(__file__).with_name("gpu_trial.json")
"""Results of a real run on a CPU, of tiny shapes."""


@pytest.fixture
def at(module: Callable[[str], ModuleType]) -> Any:
    names = ("accelerator", "gpu_cells", "gpu_driver", "gpu_figures", "gpu_loads", "gpu_plots")
    names += ("gpu_report", "gpu_results", "host_side", "rerankers", "rounds", "shapes")
    return SimpleNamespace(**{name: module(name) for name in names})


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


# Results.

FACTS: dict[str, Any] = {"device": "NVIDIA H200", "versions": {"torch": "2.11.0"}}


def test_a_second_call_goes_on(at: Any, tmp_path: Path) -> None:
    path = tmp_path / "h200/gpu.json"
    first = at.gpu_results.Results(path, FACTS)
    first.began({"command": "python benchmarks/gpu.py", "date": "2026-01-01"})
    first.put("a cell", {"pairs": 10})
    first.leave_out("b cell", "no time")
    second = at.gpu_results.Results(path, FACTS)
    assert second.cells == {"a cell": {"pairs": 10}}
    assert len(second.content["runs"]) == 1
    # It may fit now.
    assert second.content["left_out"] == {}
    assert [each.name for each in path.parent.iterdir()] == ["gpu.json"]


@pytest.mark.parametrize("other", [{"device": "cpu"}, {"versions": {"torch": "2.13.0"}}])
def test_results_of_another_device_are_not_mixed(
    at: Any, tmp_path: Path, other: dict[str, Any]
) -> None:
    path = tmp_path / "gpu.json"
    at.gpu_results.Results(path, FACTS).began({})
    before = path.read_bytes()
    with pytest.raises(at.rounds.UnavailableError, match=r"--fresh"):
        at.gpu_results.Results(path, FACTS | other)
    assert path.read_bytes() == before


def test_each_measurement_is_in_the_file_at_once(at: Any, tmp_path: Path) -> None:
    path = tmp_path / "gpu.json"
    results = at.gpu_results.Results(path, FACTS)
    for name in ("one", "two"):
        results.put(name, {})
        assert name in json.loads(path.read_text(encoding="utf-8"))["cells"]


def test_time_that_is_left(at: Any) -> None:
    clock = Clock()
    budget = at.gpu_results.Budget(2, clock)
    clock.now = 30
    assert (budget.left, budget.until(40), budget.until(400)) == (90, 70, 120)
    assert budget.lacks(90) is None
    assert "90 s of --minutes" in budget.lacks(91)
    clock.now = 500
    assert budget.left == 0
    assert at.gpu_results.Budget(None, clock).until(math.inf) == math.inf


def test_shapes_that_are_done_or_do_not_fit_cost_nothing(
    at: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = at.gpu_results.Results(tmp_path / "gpu.json", FACTS)
    made: list[str] = []

    def fail(shape: Any, folder: Path, device: str) -> None:
        made.append(folder.name)
        raise RuntimeError("no space left on device")

    monkeypatch.setattr(at.gpu_driver, "make_model", fail)
    options = SimpleNamespace(
        part=["throughput", "defaults"], shapes=["tiny", "bge-reranker-base"], models=tmp_path,
        pairs=1000, counts=[100], rounds=5, calls=20, cell_seconds=15.0, try_seconds=0.7,
    )  # fmt: skip
    device = SimpleNamespace(name="cuda", is_gpu=True, rates=lambda: FLOPS, clear=lambda: None)
    budget = at.gpu_results.Budget(0.01, Clock())
    at.gpu_driver.run(options, results, device, budget)
    # It fits, fails, and ends nothing.
    assert made == ["tiny", "tiny"]
    left_out = results.content["left_out"]
    assert left_out.pop("tiny") == "RuntimeError: no space left on device"
    assert list(left_out) == ["bge-reranker-base, throughput", "bge-reranker-base, defaults"]
    assert all("--minutes" in each for each in left_out.values())


# The page.


def trial() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(TRIAL.read_text(encoding="utf-8"))
    return found


def test_a_trial_on_a_cpu_never_claims_to_be_a_gpus(at: Any) -> None:
    text = at.gpu_report.page(trial())
    assert text.startswith("# A trial of the benchmark for GPUs, on a CPU\n")
    assert "**Nothing here is of a GPU**" in text
    assert "driver" not in text.split("## ")[0]
    svg = at.gpu_plots.draw(trial())
    assert "Rerankers on cpu" in svg
    assert svg.startswith("<svg ")


def test_the_page_names_the_gpu_and_everything_measured(at: Any) -> None:
    results = trial() | {
        "device": "NVIDIA H200",
        "memory": 141 * 2**30,
        "multiprocessors": 132,
        "cuda": "13.0",
        "driver": "580.159.04",
        "left_out": {"tiny, 512": "some 90 s were needed, and 5 s of --minutes were left"},
    }
    text = at.gpu_report.page(results)
    assert text.startswith("# Rerankers on one GPU: NVIDIA H200\n")
    assert "driver 580.159.04, CUDA 13.0" in text
    for title in ("Targets", "Latency", "Tokens of a pass", "The host alone", "Left out"):
        assert f"\n## {title}\n" in text
    for cell in results["cells"].values():
        for name, found in cell.get("systems", {}).items():
            assert name in text
            assert found["setting"] in text
        for name, why in cell.get("failed", {}).items():
            assert name in text
            assert why in text
    # Each row has as many columns as its head.
    for block in text.split("\n\n"):
        lines = [line for line in block.splitlines() if line.startswith("|")]
        assert len({line.count("|") for line in lines}) <= 1, block


def test_targets_are_met_or_not(at: Any) -> None:
    def cell(part: str, mine: float, theirs: float, **more: Any) -> dict[str, Any]:
        systems = {
            "resift bf16": {"seconds": [mine]},
            "FlagEmbedding, best": {"seconds": [theirs]},
            "sentence-transformers, best": {"seconds": [theirs / 2]},
        }
        base = {"shape": "s", "part": part, "kind": "mixed", "pairs": 100, "flop": [1e12]}
        return base | {"systems": systems} | more

    cells = {
        "1": cell("throughput", 1.0, 4.0),
        # The least of both loads counts.
        "2": cell("throughput", 1.0, 2.9, kind="512"),
        "3": cell("latency", 0.0249, 1.0),
        "4": cell("latency", 0.9, 1.0, pairs=10),
    }
    said = [each.said(each.of(cells, "s", 2e12)) for each in at.gpu_figures.TARGETS]
    assert said == [
        "not measured",
        "2.90 ×: not met",
        "1.45 ×: not met",
        "50%: met",
        "24.90 ms: met",
    ]


# The command.


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *words], capture_output=True, encoding="utf-8", timeout=100
    )


def test_without_a_gpu_it_says_so_and_ends_well() -> None:
    try:
        import torch
    except ImportError:
        expected = "skipped: torch"
    else:
        if torch.cuda.is_available():
            pytest.skip("there is a GPU")
        expected = "skipped: no GPU"
    done = run("--minutes", "1")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(expected)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--device", "cpu"], "need --out"),
        (["--shapes", "huge"], "no shape 'huge'; expected one of bge-reranker-v2-m3"),
        (["--rounds", "0"], "must be at least 1"),
    ],
)
def test_impossible_options_are_refused(words: list[str], said: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert said in done.stderr


def test_the_host_alone_needs_no_torch(tmp_path: Path) -> None:
    words = ["--device", "cpu", "--part", "host", "--pairs", "4", "--rounds", "1"]
    for _ in range(2):
        done = run(*words, "--out", str(tmp_path))
        assert done.returncode == 0, done.stderr
    results = json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))
    assert len(results["runs"]) == 2
    host = results["cells"]["host"]
    assert len(host["kinds"]) == 2
    for found in host["kinds"].values():
        assert found["tokens"] > 4 * 200
        assert min(found["a_second"].values()) > 1000
    text = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert "Unigram, resift-multilingual" in text
    assert str(tmp_path) not in text
    (tmp_path / "gpu.md").unlink()
    assert run("--page", str(tmp_path)).returncode == 0
    assert (tmp_path / "gpu.md").read_text(encoding="utf-8") == text
    done = run(*words, "--out", str(tmp_path), "--fresh")
    assert len(json.loads((tmp_path / "gpu.json").read_text(encoding="utf-8"))["runs"]) == 1
