"""Weights that are fetched from a hub, and those that aren't."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import hub_server
import pytest
import tiny_models
from hub_client import NEEDED, Client


def test_weights_for_this_machine_are_fetched_alone(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes], tmp_path: Path
) -> None:
    half = tiny_models.build(tmp_path / "half", precision="fp16") / "model_fp16.onnx"
    described = {name: files[name] for name in NEEDED - {"model.onnx"}}
    hub.commit("acme/fp16", {**files, "onnx/model_fp16.onnx": half.read_bytes()})
    hub.commit(
        "acme/int8",
        {
            **described,
            **{f"onnx/{name}.onnx": files["model.onnx"] for name in ("model", "model_quantized")},
        },
    )
    hub.commit("acme/odd", {**described, "onnx/model_quantized.onnx": files["model.onnx"]})
    fp16, int8, odd, none, other = client.rank(
        {"model": "acme/fp16", "precision": "fp16"},
        {"model": "acme/int8", "precision": "int8-dynamic"},
        {"model": "acme/odd", "precision": "int8-dynamic"},
        {"model": "acme/odd"},
        {"model": "acme/int8", "precision": "fp16"},
    )
    assert [each["precision"] for each in (fp16, int8, odd)] == [
        "fp16",
        "int8-dynamic",
        "int8-dynamic",
    ]
    # What overflows in fp16 is computed again in float32.
    assert hub.fetched("acme/fp16") == sorted({*NEEDED, "onnx/model_fp16.onnx"})
    assert hub.fetched("acme/int8") == sorted({*described, "onnx/model_quantized.onnx"})
    for outcome in (none, other):
        assert outcome["error"] == "BackendUnavailableError"
        assert "model_quantized.onnx" in outcome["message"]


def described(precisions: list[str], graph: bytes, **changes: object) -> dict[str, bytes]:
    """A card that lists one graph in these precisions, and the files that it lists."""
    digest = sha256(graph).hexdigest()
    card = {
        "max_length": 16,
        "window": 20,
        "tolerance": 1e-4,
        "artifacts": [
            {"format": "onnx", "precision": each, "file": f"{each}.onnx", "sha256": digest}
            for each in precisions
        ],
        **changes,
    }
    weights = {f"{each}.onnx": graph for each in precisions}
    return {"card.json": json.dumps(card).encode(), **weights}


@pytest.mark.parametrize(
    ("processor", "precision", "fetched"),
    [("avx512", "int8", ["fp32.onnx", "int8.onnx"]), ("unknown", "fp32", ["fp32.onnx"])],
)
def test_a_card_says_which_weights_are_fetched(
    hub: hub_server.Hub,
    client: Client,
    files: dict[str, bytes],
    processor: str,
    precision: str,
    fetched: list[str],
) -> None:
    hub.commit("acme/card", {**files, **described(["int8", "fp32"], files["model.onnx"])})
    client.processor = processor
    (outcome,) = client.rank({"model": "acme/card"})
    assert outcome["precision"] == precision
    folder = client.cache / "models--acme--card/snapshots" / outcome["revision"]
    found = {path.name for path in folder.iterdir()}
    assert found == {*NEEDED, "card.json", *fetched} - {"model.onnx"}


def test_a_model_of_another_kind_is_refused_before_its_weights(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    hub.commit("acme/embedding", {**files, "config.json": b'{"architectures": ["BertModel"]}'})
    (outcome,) = client.rank({"model": "acme/embedding"})
    assert "embedding model" in outcome["message"]
    assert "model.onnx" not in hub.fetched("acme/embedding")


def test_names_of_the_catalogue_are_found(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    hub.commit("BAAI/bge-reranker-base", files)
    by_name, by_repository, unsupported = client.rank(
        {"model": "bge-reranker-base"},
        {"model": "BAAI/bge-reranker-base", "offline": True},
        {"model": "rank_zephyr_7b_v1_full"},
    )
    assert by_name["model"] == "bge-reranker-base"
    assert by_name["results"] == by_repository["results"]
    assert "listwise_llm" in unsupported["message"]
    assert unsupported["network"] == []
