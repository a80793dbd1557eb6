"""benchmarks/gpu with torch: operations against torch's own count, and a whole run on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from resift import Reranker

_REASON = "measures with torch and transformers: python dev.py test --parity"
torch: Any = pytest.importorskip("torch", reason=_REASON)
transformers: Any = pytest.importorskip("transformers", "5.0", reason=_REASON)

ROOT = Path(__file__).parents[2]
TINY = ("tiny", "tiny-modernbert", "tiny-qwen3", "tiny-gemma")


@pytest.fixture
def at(module: Callable[[str], ModuleType]) -> SimpleNamespace:
    """The modules of the benchmark that need torch, and those they take."""
    names = ("gpu_loads", "random_models", "shapes")
    return SimpleNamespace(**{name: module(name) for name in names})


@pytest.mark.parametrize("name", TINY)
def test_operations_are_those_that_torch_counts(at: Any, name: str) -> None:
    from torch.utils.flop_counter import FlopCounterMode

    shape = at.shapes.find_shape(name)
    config_class, model_class = at.random_models.CLASSES[shape.kind]
    config = getattr(transformers, config_class)(
        **shape.config(), pad_token_id=0, attn_implementation="eager"
    )
    model = getattr(transformers, model_class)(config).eval().base_model
    for length in (1, 7, 40):
        counting = FlopCounterMode(display=False)
        with counting, torch.inference_mode():
            model(torch.full((2, length), 5))
        # Angles of rotations are products, too, of vectors.
        rotations = sum(
            sum(counts.values())
            for module, counts in counting.get_flop_counts().items()
            if module.endswith("rotary_emb")
        )
        found = counting.get_total_flops() - rotations
        assert found == shape.flop([length, length], squares=True), length


@pytest.mark.parametrize("name", TINY)
def test_loads_have_the_tokens_that_the_model_reads(at: Any, name: str, tmp_path: Path) -> None:
    shape = at.shapes.find_shape(name)
    at.random_models.make_model(shape, tmp_path, "cpu")
    load = at.gpu_loads.make_load(at.gpu_loads.counter(shape, tmp_path), "mixed", 5, 1)
    ranking = Reranker(tmp_path, backend="torch").rank(load.query, load.documents)
    assert ranking.counts.tokens == sum(load.lengths)
    assert ranking.counts.truncated_documents == 0
    weights = tmp_path / "model.safetensors"
    before = weights.stat().st_mtime_ns
    # Made once.
    at.random_models.make_model(shape, tmp_path, "cpu")
    assert weights.stat().st_mtime_ns == before


def run(out: Path, *words: str) -> dict[str, Any]:
    sizes = ["--pairs", "8", "--counts", "3", "--rounds", "1", "--calls", "2"]
    limits = ["--try-seconds", "0", "--cell-seconds", "1"]
    command = [sys.executable, str(ROOT / "benchmarks/gpu.py"), "--device", "cpu", *sizes, *limits]
    done = subprocess.run(
        [*command, "--out", str(out), *words],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads((out / "gpu.json").read_text(encoding="utf-8"))
    return found


def test_a_whole_run(tmp_path: Path) -> None:
    parts = ["throughput", "latency", "sweep", "defaults"]
    results = run(tmp_path, "--shapes", "tiny", "tiny-qwen3", "--part", *parts)
    assert results["left_out"] == {}
    assert [each["part"] for each in results["cells"].values()].count("sweep") == 4
    installed = {name for name, version in results["versions"].items() if version}
    for name, cell in results["cells"].items():
        assert len(cell["systems"]) == 6 or any(
            each.startswith("resift") for each in cell["systems"]
        )
        for system, found in cell["systems"].items():
            assert min(found["seconds"]) > 0
            # All read the same prompt and the same tokens.
            if "off" in found:
                assert found["off"] <= 1e-5 < 1e-3 < found["spread"], (name, system)
            assert "off_failed" not in found
        for system, why in cell["failed"].items():
            assert system.split(",")[0] not in installed, why
            assert "is not installed" in why
    text = (tmp_path / "gpu.md").read_text(encoding="utf-8")
    assert "Nothing here is of a GPU" in text
    # What is there isn't measured again, and what is new is.
    again = run(tmp_path, "--shapes", "tiny", "--part", "latency", "sweep")
    assert again["cells"] == results["cells"]
    assert len(again["runs"]) == 2


def test_a_run_without_time_says_what_it_left_out(tmp_path: Path) -> None:
    results = run(tmp_path, "--shapes", "tiny", "--part", "throughput", "--minutes", "0.0001")
    assert results["cells"] == {}
    assert all("--minutes" in why for why in results["left_out"].values())
    assert "## Left out" in (tmp_path / "gpu.md").read_text(encoding="utf-8")
