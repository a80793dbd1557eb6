"""The processor: its class, the most that it can do, and how another one is simulated."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from platform import machine
from types import ModuleType

import pytest
from sources import BENCHMARKS


@pytest.mark.parametrize(
    ("capabilities", "name"),
    [
        ({"avx2", "avx512_f", "avx512_vnni", "avx_vnni"}, "avx512-vnni"),
        ({"avx2", "avx512_f"}, "avx512"),
        ({"avx2", "avx_vnni"}, "avx-vnni"),
        ({"avx2"}, "avx2"),
        ({"neon", "dot", "i8mm"}, "arm64-i8mm"),
        ({"neon", "dot"}, "arm64-dot"),
        ({"neon"}, "arm64"),
    ],
)
def test_features_give_the_processor_class(
    module: Callable[[str], ModuleType], capabilities: set[str], name: str
) -> None:
    every = {"avx2", "avx512_f", "avx512_vnni", "avx_vnni", "neon", "dot", "i8mm"}
    found = {feature: feature in capabilities for feature in every}
    assert module("processor").class_of(found) == name


@pytest.mark.parametrize("rate", [1e6, 1e8, 1e13])
def test_a_ceiling_stops_at_its_time_limit(
    module: Callable[[str], ModuleType], rate: float
) -> None:
    now = 0.0

    def make(shape: tuple[int, int, int], threads: int) -> Callable[[], None]:
        def product() -> None:
            nonlocal now
            now += 2 * shape[0] * shape[1] * shape[2] / rate

        return product

    found = module("ceiling").fastest(make, 1, 2.0, clock=lambda: now)
    assert found == pytest.approx(rate)
    # The smallest product, twice, is what even the slowest has to be given.
    assert now <= 3.0 + 2 * 2 * 256**3 / rate


def test_a_ceiling_without_its_engine_is_reported() -> None:
    command = [sys.executable, str(BENCHMARKS / "cpu/ceiling.py"), "1", "0.05"]
    done = subprocess.run(command, stdout=subprocess.PIPE, encoding="utf-8", check=True)
    found = json.loads(done.stdout)
    assert found["best"]["fp32"]["numpy"] > 0
    named = {f"{kind} on {engine}" for kind, each in found["best"].items() for engine in each}
    assert named | set(found["failed"]) >= {"int8 on torch", "bf16 on openvino"}
    assert not named & set(found["failed"])


def test_an_instruction_is_hidden_where_it_stands(tmp_path: Path) -> None:
    if not (shutil.which("gcc") and shutil.which("objdump")) or machine() != "x86_64":
        pytest.skip("no gcc and objdump for x86-64 here")
    source = BENCHMARKS / "simulate/hide.c"
    library = tmp_path / "onnxruntime/capi/hide.so"
    library.parent.mkdir(parents=True)
    # Its own question is one, and so it is an example.
    command = [
        "gcc",
        "-O2",
        "-shared",
        "-fPIC",
        "-Wall",
        "-Werror",
        "-o",
        str(library),
        str(source),
    ]
    subprocess.run(command, check=True)
    before = library.read_bytes()
    script = BENCHMARKS / "simulate/patch.py"
    done = subprocess.run(
        [sys.executable, script, tmp_path], check=True, stdout=subprocess.PIPE, encoding="utf-8"
    )
    after = library.read_bytes()
    changed = [at for at in range(len(before)) if before[at] != after[at]]
    assert done.stdout == f"hide.so: {len(changed) // 2}\n"
    assert changed
    for at in changed[::2]:
        assert (before[at : at + 2], after[at : at + 2]) == (b"\x0f\xa2", b"\xcc\x90")
