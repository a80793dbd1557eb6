"""Operations, the device, and loads. The device is a fake."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from gpu_benchmark.fakes import words

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
