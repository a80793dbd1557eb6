"""Ways to run a model, and the weights that they need: one decision, for any processor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from processors import NO_BF16, NO_INT8, PROCESSORS

from resift import BackendUnavailableError, Reranker
from resift.backends.choice import lacking
from resift.loading.plan import Plan, Way, Wish, plan, wider
from resift.machine import processor
from resift.models.artifacts import companions
from resift.models.card import USUAL_ARTIFACTS, Artifact

INT8 = Artifact(format="onnx", precision="int8", file="int8.onnx")
NARROW = Artifact(format="onnx", precision="int8-narrow", file="narrow.onnx")
FP16 = Artifact(format="onnx", precision="fp16", file="fp16.onnx")
FP32 = Artifact(format="onnx", precision="fp32", file="fp32.onnx")
TORCH = Artifact(format="safetensors", precision="fp32", file="model.safetensors")
FOUR = [INT8, FP16, FP32, TORCH]
ALL = ["onnx", "openvino", "torch"]


def made(
    artifacts: list[Artifact], backends: list[str], precision: str | None, on: str = "avx512"
) -> list[tuple[str, str, str]]:
    ways = plan(artifacts, backends, precision, PROCESSORS[on]).ways
    return [(way.backend, way.precision, way.artifact.file) for way in ways]


def test_the_order_is_the_cards_then_the_backends() -> None:
    assert made(FOUR, ALL, None) == [
        ("onnx", "int8", "int8.onnx"),
        ("onnx", "fp32", "fp32.onnx"),
        ("openvino", "fp32", "fp32.onnx"),
        ("torch", "fp32", "model.safetensors"),
        # It computes that in float32 anyway, and has to convert it first.
        ("onnx", "fp16", "fp16.onnx"),
    ]
    assert made(FOUR, ["torch", "onnx"], None)[1][0] == "torch"
    assert made([FP32, INT8], ["onnx"], None)[0][1] == "fp32"


def test_ways_that_the_processor_lacks_are_left_out_and_named() -> None:
    found = plan(FOUR, ALL, None, PROCESSORS["unknown"])
    assert found.ways[0] == Way("onnx", "fp32", FP32)
    assert INT8 not in [way.artifact for way in found.ways]
    assert found.refused == [NO_INT8]
    assert plan([INT8], ALL, None, PROCESSORS["unknown"]) == Plan([], [NO_INT8])


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("avx512", ["int8", "int8-narrow"]),
        ("arm64", ["int8", "int8-narrow"]),
        ("avx2", ["int8-narrow", "int8"]),
        ("unknown", []),
    ],
)
def test_the_faster_kind_of_int8_goes_first(on: str, expected: list[str]) -> None:
    for artifacts in ([INT8, NARROW, FP32], [NARROW, INT8, FP32]):
        assert [each[1] for each in made(artifacts, ["onnx"], None, on)] == [*expected, "fp32"]
        assert [each[1] for each in made(artifacts, ALL, "int8", on)] == expected
        assert made(artifacts, ["onnx"], "int8-narrow", on) == [
            ("onnx", "int8-narrow", "narrow.onnx") for _ in expected[:1]
        ]
        wish = Wish(ALL, None, PROCESSORS[on])
        # Nobody downloads both.
        fetched = [each.precision for each in wish.choose(artifacts, {}).artifacts]
        assert fetched == [*expected[:1], "fp32"]
    # A maker that puts float32 first has a reason.
    assert made([FP32, NARROW, INT8], ["onnx"], None, on)[0][1] == "fp32"
    only = [each[1] for each in made([NARROW], ALL, "int8", on)]
    assert only == (["int8-narrow"] if expected else [])


def test_a_requested_precision_is_computed_from_the_weights_there_are() -> None:
    assert made(FOUR, ALL, "bf16") == [
        ("openvino", "bf16", "fp32.onnx"),
        ("torch", "bf16", "model.safetensors"),
    ]
    assert made(FOUR, ALL, "bf16", on="unknown") == [("torch", "bf16", "model.safetensors")]
    assert made(FOUR, ALL, "fp16")[0] == ("onnx", "fp16", "fp16.onnx")
    assert made(FOUR, ["onnx"], "bf16") == []


def test_weights_for_other_processors_are_ignored() -> None:
    vnni = Artifact(format="onnx", precision="int8", file="vnni.onnx", cpu="AVX512VNNI")
    arm = Artifact(format="onnx", precision="fp32", file="arm.onnx", cpu="ASIMDDP")
    artifacts = [vnni, arm, FP32]
    assert made(artifacts, ["onnx"], None)[0][2] == "vnni.onnx"
    assert made(artifacts, ["onnx"], None, on="arm64")[0][2] == "arm.onnx"
    assert [each[2] for each in made(artifacts, ["onnx"], None, on="unknown")] == ["fp32.onnx"]
    (refused,) = plan(artifacts, ["onnx"], "int8", PROCESSORS["unknown"]).refused
    assert refused == "vnni.onnx was made for processors with AVX512VNNI, which this one lacks"


@pytest.mark.parametrize(
    ("on", "expected"),
    [
        ("avx2", "onnx/model_quint8_avx2.onnx"),
        ("avx512", "onnx/model_qint8_avx512_vnni.onnx"),
        ("arm64", "onnx/model_qint8_arm64.onnx"),
        ("unknown", "onnx/model_int8.onnx"),
    ],
)
def test_int8_weights_are_chosen_for_the_processor(on: str, expected: str) -> None:
    usual = list(USUAL_ARTIFACTS)
    assert made(usual, ["onnx"], "int8-dynamic", on)[0][2] == expected
    assert made(usual, ["onnx"], None, on)[0][2] == "onnx/model.onnx"


def test_the_weights_of_the_first_way_and_its_float32_are_fetched() -> None:
    def fetched(artifacts: list[Artifact], backends: list[str], on: str, **options: Any) -> Any:
        wish = Wish(backends, options.get("precision"), PROCESSORS[on])
        return list(wish.choose(artifacts, options.get("config", {})).artifacts)

    assert fetched(FOUR, ALL, "avx512") == [INT8, FP32]
    assert fetched(FOUR, ALL, "unknown") == [FP32]
    assert fetched(FOUR, ALL, "avx512", precision="fp16") == [FP16, FP32]
    assert fetched(FOUR, ["torch"], "avx512") == [TORCH]
    assert fetched(FOUR, ALL, "unknown", precision="bf16") == [TORCH]
    assert fetched([INT8], ["onnx"], "unknown") == []
    # Of backends without the code for a model, nothing is read.
    config = {"architectures": ["CostWiseGemmaForCausalLM"]}
    assert fetched(FOUR, ["onnx", "flag_embedding"], "avx512", config=config) == [TORCH]
    # Before the configuration is known, any of them may have it.
    assert fetched([TORCH], ["onnx", "flag_embedding"], "avx512") == [TORCH]


def test_data_that_two_graphs_share_belongs_to_both() -> None:
    shared = Artifact(
        format="onnx", precision="int8", file="model_int8.onnx", data_file="model.onnx.data"
    )
    present = ["model.onnx", "model.onnx.data", "model_int8.onnx", "other.data"]
    assert companions(shared, present) == ["model.onnx.data"]
    assert companions(replace(shared, data_file=None), present) == []


@pytest.mark.parametrize("on", PROCESSORS)
@pytest.mark.parametrize("precision", [None, "fp32", "int8", "fp16", "bf16"])
def test_the_weights_fetched_are_opened_first(on: str, precision: str | None) -> None:
    """The weights fetched have the first way and its float32, for any of the four in any order."""
    from itertools import permutations

    for backends in (["onnx"], ["torch"], ALL):
        for size in (1, 2, 3, 4):
            for listed in map(list, permutations(FOUR, size)):
                there = plan(listed, backends, precision, PROCESSORS[on])
                chosen = Wish(backends, precision, PROCESSORS[on]).choose(listed, {}).artifacts
                present = [each for each in listed if each in chosen]
                opened = plan(present, backends, precision, PROCESSORS[on])
                assert there.ways[:1] == opened.ways[:1]
                for way in opened.ways[:1]:
                    args = (way, backends, PROCESSORS[on])
                    assert wider(listed, *args) == wider(present, *args)


def test_an_unavailable_precision_is_refused_before_the_model_is_found(
    on: Callable[[str], None],
) -> None:
    on("unknown")
    with pytest.raises(BackendUnavailableError, match="'bf16' is not one"):
        Wish.of(["onnx"], "bf16")
    with pytest.raises(BackendUnavailableError, match=NO_INT8):
        Reranker("acme/none", precision="int8", offline=True).warm_up()
    with pytest.raises(BackendUnavailableError, match=NO_BF16):
        Wish.of(["onnx", "openvino"], "bf16")
    assert Wish.of(["onnx", "openvino", "torch"], "bf16").backends == ["torch"]
    assert Wish.of(["onnx", "torch"], None).formats[:2] == ["onnx", "safetensors"]
    assert Wish.of(["torch", "onnx"], None).formats[-1] == "onnx"


def test_the_processor_is_read_once() -> None:
    assert processor() is processor()
    assert processor().lacking("onnx", "int8") == lacking("onnx", "int8")
    assert lacking("onnx", "fp32") is lacking("torch", "bf16") is None
