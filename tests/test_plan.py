"""Which weights are fetched, opened, shown and bundled: one decision, for any processor."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import hub_server
import pytest
import tiny_models
from hub_client import BEST, DOCUMENTS, NEEDED, Client, order
from processors import NO_BF16, NO_INT8, PROCESSORS

from resift import BackendUnavailableError, ModelNotFoundError, Reranker, UnsupportedModelError
from resift.backends.choice import lacking
from resift.cli.main import main
from resift.loading.opening import load_model
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


# A model as its files.


def _card(artifacts: list[dict[str, Any]]) -> bytes:
    card = {"max_length": 16, "window": 20, "tolerance": 1e-4, "artifacts": artifacts}
    return json.dumps(card).encode()


@pytest.fixture(scope="session")
def four(tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]) -> dict[str, bytes]:
    """A repository whose card lists four files of weights, no two of them alike."""
    half = tiny_models.build(tmp_path_factory.mktemp("half"), precision="fp16")
    graph = files["model.onnx"]
    weights = {
        "int8.onnx": tiny_models.named(graph, "int8"),
        "fp16.onnx": (half / "model_fp16.onnx").read_bytes(),
        "fp32.onnx": tiny_models.named(graph, "fp32"),
        "model.safetensors": b"weights",
    }
    listed = [
        {
            "format": name.replace("model.", "").split(".")[-1],
            "precision": name.split(".")[0].replace("model", "fp32"),
            "file": name,
            "sha256": sha256(content).hexdigest(),
        }
        for name, content in weights.items()
    ]
    described = {name: files[name] for name in NEEDED - {"model.onnx"}}
    return {**described, **weights, "card.json": _card(listed)}


RUNS = {"avx512": ["int8", "fp32"], "unknown": ["fp32"]}
ON = pytest.mark.parametrize("on_processor", RUNS)


@ON
def test_each_processor_fetches_its_own_weights_from_a_hub(
    hub: hub_server.Hub, client: Client, four: dict[str, bytes], on_processor: str
) -> None:
    commit = hub.commit("acme/four", four)
    expected = RUNS[on_processor]
    client.processor = on_processor
    online, offline, pinned = client.rank(
        {"model": "acme/four"},
        {"model": "acme/four", "offline": True},
        {"model": "acme/four", "revision": commit},
    )
    for outcome in (online, offline, pinned):
        assert order(outcome) == BEST
        assert (outcome["status"], outcome["precision"]) == ("complete", expected[0])
    weights = sorted(f"{each}.onnx" for each in expected)
    assert hub.fetched("acme/four") == sorted([*NEEDED - {"model.onnx"}, "card.json", *weights])
    # What this processor can't run isn't looked for, in the cache or elsewhere.
    if on_processor == "unknown":
        (refused,) = client.rank({"model": "acme/four", "precision": "int8"})
        assert refused["error"] == "BackendUnavailableError"
        assert "lacks the instructions" in refused["message"]
        assert refused["network"] == []


@ON
def test_the_command_line_follows_the_same_plan(
    hub: hub_server.Hub,
    client: Client,
    four: dict[str, bytes],
    on_processor: str,
    tmp_path: Path,
) -> None:
    hub.commit("acme/four", four)
    expected = RUNS[on_processor]
    client.processor = on_processor
    pulled = client.resift("models", "pull", "acme/four")
    assert (pulled.returncode, pulled.stderr) == (0, "")
    (shown,) = json.loads(client.resift("models", "show", "acme/four").stdout)["cached"]
    files = [run["file"] for run in shown["runs"] if run["backend"] == "onnx"]
    assert files == [f"{each}.onnx" for each in expected]
    assert shown["runs"][0] == {
        "backend": "onnx",
        "precision": expected[0],
        "file": f"{expected[0]}.onnx",
    }

    out = tmp_path / "bundle"
    bundled = client.resift("models", "bundle", "acme/four", str(out), "--offline")
    assert (bundled.returncode, bundled.stderr) == (0, "")
    assert {path.name for path in out.glob("*.onnx")} == {f"{each}.onnx" for each in expected}
    # Carried to any processor, it runs what it has.
    for name, there in PROCESSORS.items():
        client.processor = name
        (outcome,) = client.rank({"model": str(out), "offline": True})
        lacks = there.lacking("onnx", expected[0])
        assert outcome["precision"] == ("fp32" if lacks else expected[0])


def test_a_cache_from_another_processor_is_completed(
    hub: hub_server.Hub, client: Client, four: dict[str, bytes]
) -> None:
    commit = hub.commit("acme/four", four)
    client.processor = "unknown"
    assert client.rank({"model": "acme/four"})[0]["precision"] == "fp32"
    client.processor = "avx512"
    hub.requests.clear()
    # Without a network it makes do with what is there, with one it gets what is better.
    (offline,) = client.rank({"model": "acme/four", "offline": True})
    assert (offline["precision"], hub.requests) == ("fp32", [])
    (pinned,) = client.rank({"model": "acme/four", "revision": commit})
    assert pinned["precision"] == "int8"
    assert hub.fetched("acme/four") == ["int8.onnx"]


def _folder(tmp_path: Path, files: Mapping[str, bytes]) -> Path:
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_weights_for_the_cards_processors_are_chosen(
    tmp_path: Path, files: dict[str, bytes], on: Callable[[str], None]
) -> None:
    described = {name: files[name] for name in NEEDED - {"model.onnx"}}
    weights = {f"{name}.onnx": files["model.onnx"] for name in ("vnni", "arm", "any")}
    cpus = {"vnni": "AVX512VNNI", "arm": "ASIMDDP", "any": None}
    artifacts: list[dict[str, Any]] = [
        {"format": "onnx", "precision": "fp32", "file": f"{name}.onnx", "cpu": cpu}
        for name, cpu in cpus.items()
    ]
    folder = _folder(tmp_path, {**described, **weights, "card.json": _card(artifacts)})
    opened = {}
    for name in PROCESSORS:
        on(name)
        reranker = Reranker(folder, backend="onnx")
        assert [each.index for each in reranker.rank("a", DOCUMENTS)] == BEST
        opened[name] = load_model(reranker._load_options).way.artifact.file
    assert opened == {
        "avx512": "vnni.onnx",
        "avx2": "any.onnx",
        "arm64": "arm.onnx",
        "unknown": "any.onnx",
    }


def test_missing_files_of_a_card_are_named(
    tmp_path: Path, four: dict[str, bytes], on: Callable[[str], None]
) -> None:
    on("avx512")
    folder = _folder(tmp_path, four)
    (folder / "int8.onnx").unlink()
    assert Reranker(folder, backend="onnx").rank("a", DOCUMENTS).precision == "fp32"
    with pytest.raises(ModelNotFoundError, match=r"lists int8\.onnx, missing from"):
        Reranker(folder, precision="int8").warm_up()
    (folder / "fp32.onnx").unlink()
    (folder / "fp16.onnx").unlink()
    message = r"int8\.onnx and fp32\.onnx and fp16\.onnx, missing from .*get the model again"
    with pytest.raises(ModelNotFoundError, match=message):
        Reranker(folder, backend="onnx").warm_up()


def test_nan_is_computed_again_where_the_backend_has_no_float32(
    tmp_path: Path, four: dict[str, bytes], on: Callable[[str], None]
) -> None:
    on("avx512")
    folder = _folder(tmp_path, four)
    reranker = Reranker(folder, backend="onnx", precision="fp16", normalization="none")
    # More than fp16 has a number for.
    (huge,) = reranker.score("a", ["huge"])
    assert huge == pytest.approx(tiny_models.logit("huge"))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"artifacts": None}, "'artifacts' must be list, not None"),
        ({"artifacts": ["model.onnx"]}, "expected an object for each of 'artifacts'"),
        ({"artifacts": [{"format": "onnx", "precision": "fp32"}]}, "it lacks 'file'"),
        (
            {"artifacts": [{"format": "onnx", "precision": "fp32", "file": 3}]},
            "'file' must be str, not 3",
        ),
        (
            {"artifacts": [{"format": "x", "precision": "y", "file": "z", "cpu": ["AVX2"]}]},
            "'cpu' must be str",
        ),
        ({"window": "512"}, "'window' must be int, not '512'"),
        ({"max_length": True}, "'max_length' must be int, not True"),
        ({"tolerance": None}, "'tolerance' must be int or float"),
        ({"schema": "1"}, "'schema' must be an int from 1 on, not '1'"),
        ({"schema": 0}, "'schema' must be an int from 1 on, not 0"),
        ({"estimator": "resift-nano"}, "'estimator' must be dict"),
        ({"estimator": {"model": "resift-nano"}}, "it lacks 'sha256'"),
    ],
)
def test_a_malformed_card_is_named(
    tmp_path: Path, four: dict[str, bytes], change: dict[str, Any], named: str
) -> None:
    card = {**json.loads(four["card.json"]), **change}
    folder = _folder(tmp_path, {**four, "card.json": json.dumps(card).encode()})
    with pytest.raises(UnsupportedModelError, match=r"card\.json is not a model card") as caught:
        Reranker(folder).warm_up()
    assert named in str(caught.value)


def test_a_bundled_model_is_shown_with_what_runs(
    capsys: pytest.CaptureFixture[str], on: Callable[[str], None]
) -> None:
    for name, precision in (("avx512", "int8"), ("unknown", "fp32")):
        on(name)
        assert main(["models", "show", "resift-small"]) == 0
        here = json.loads(capsys.readouterr().out)["here"]
        assert here["runs"][0]["precision"] == precision
        assert here["refused"] == ([NO_INT8] if name == "unknown" else [])
