"""Finding models on disk, and refusing what isn't one."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny_models

from resift import (
    BackendUnavailableError,
    InvalidRequestError,
    ModelNotFoundError,
    Reranker,
    UnsupportedModelError,
)


@pytest.fixture
def model(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "model"))


def test_a_folder_is_found_by_path_or_name(model: Path) -> None:
    assert len(Reranker(model).rank("a", ["good"])) == 1
    assert Reranker(str(model)).rank("a", ["good"]).model == str(model)


def test_a_graph_in_the_onnx_folder_is_found(model: Path) -> None:
    (model / "onnx").mkdir()
    (model / "model.onnx").rename(model / "onnx" / "model.onnx")
    assert Reranker(model).rank("a", ["good"]).precision == "fp32"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json"])
def test_a_missing_file_is_named(model: Path, name: str) -> None:
    (model / name).unlink()
    with pytest.raises(ModelNotFoundError, match=name):
        Reranker(model).rank("a", ["good"])


def test_missing_weights_are_named(model: Path) -> None:
    (model / "model.onnx").unlink()
    with pytest.raises(BackendUnavailableError, match=r"model\.onnx"):
        Reranker(model).rank("a", ["good"])


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.onnx"])
@pytest.mark.parametrize("keep", [0.0, 0.5])
def test_a_damaged_file_is_named(model: Path, name: str, keep: float) -> None:
    content = (model / name).read_bytes()
    (model / name).write_bytes(content[: int(len(content) * keep)])
    with pytest.raises(UnsupportedModelError, match=name):
        Reranker(model).rank("a", ["good"])


def test_an_embedding_model_is_refused(tmp_path: Path) -> None:
    model = tiny_models.build(tmp_path, config={"architectures": ["BertModel"]})
    with pytest.raises(UnsupportedModelError, match="embedding model"):
        Reranker(model).rank("a", ["good"])


def test_a_tokenizer_without_a_plain_pair_template_is_refused(tmp_path: Path) -> None:
    model = tiny_models.build(tmp_path, pair="[CLS] $B [SEP] $A:1 [SEP]:1")
    with pytest.raises(UnsupportedModelError, match="joins"):
        Reranker(model).rank("a", ["good"])


def test_the_default_length_is_the_models(tmp_path: Path) -> None:
    model = tiny_models.build(tmp_path, positions=8192)
    document = "good " * 600
    assert Reranker(model).rank("a", [document])[0].truncated_tokens == 600 - (512 - 3 - 1)
    (model / "tokenizer_config.json").write_text(
        json.dumps({"model_max_length": 100}), encoding="utf-8"
    )
    assert Reranker(model).rank("a", [document])[0].truncated_tokens == 600 - (100 - 3 - 1)
    (model / "tokenizer_config.json").write_text(
        json.dumps({"model_max_length": 1e30}), encoding="utf-8"
    )
    assert Reranker(model, max_length=8192).rank("a", [document])[0].truncated_tokens == 0


def _card(model: Path, **changes: object) -> None:
    from hashlib import sha256

    digest = sha256((model / "model.onnx").read_bytes()).hexdigest()
    artifact = {"format": "onnx", "precision": "fp32", "file": "model.onnx", "sha256": digest}
    card = {
        "revision": "r1",
        "family": "sequence_classification",
        "max_length": 16,
        "window": 20,
        "tolerance": 1e-4,
        "artifacts": [artifact],
    }
    (model / "card.json").write_text(json.dumps({**card, **changes}), encoding="utf-8")


def test_a_cards_values_take_precedence(model: Path) -> None:
    _card(model)
    reranker = Reranker(model)
    ranking = reranker.rank("a", ["good " * 100])
    assert ranking.revision == "r1"
    assert ranking[0].truncated_tokens == 100 - (16 - 3 - 1)
    with pytest.raises(InvalidRequestError, match="at most 20"):
        reranker.rank("a", ["good"], max_length=21)
    with pytest.raises(BackendUnavailableError, match="int8"):
        Reranker(model, precision="int8").rank("a", ["good"])


def test_an_altered_file_is_refused(model: Path) -> None:
    _card(model)
    content = bytearray((model / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (model / "model.onnx").write_bytes(content)
    with pytest.raises(UnsupportedModelError, match="sha256"):
        Reranker(model).rank("a", ["good"])


def test_an_incomplete_card_is_refused(model: Path) -> None:
    (model / "card.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UnsupportedModelError, match="max_length"):
        Reranker(model).rank("a", ["good"])


@pytest.mark.parametrize("schema", [{}, {"schema": 1}])
def test_cards_of_the_first_schema_may_leave_it_out(model: Path, schema: dict[str, int]) -> None:
    _card(model, **schema)
    assert Reranker(model).rank("a", ["good"]).revision == "r1"


def test_a_newer_card_is_refused_whatever_else_it_says(model: Path) -> None:
    _card(model, schema=2, window={"tokens": 20})
    with pytest.raises(UnsupportedModelError, match=r"schema 2.* up to 1; update resift") as caught:
        Reranker(model).rank("a", ["good"])
    assert str(model / "card.json") in str(caught.value)


def test_an_unavailable_device_is_refused(model: Path) -> None:
    with pytest.raises(BackendUnavailableError, match="cuda"):
        Reranker(model, device="cuda").rank("a", ["good"])


def test_a_failed_load_is_tried_again(model: Path) -> None:
    (model / "config.json").rename(model / "elsewhere")
    reranker = Reranker(model)
    with pytest.raises(ModelNotFoundError):
        reranker.warm_up()
    (model / "elsewhere").rename(model / "config.json")
    reranker.warm_up()
    assert len(reranker.rank("a", ["good"])) == 1
