"""``resift export --target triton``: what is refused, with nothing written."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import tiny_models
from packages import BUNDLED

from resift import (
    BackendUnavailableError,
    InvalidRequestError,
    ModelNotFoundError,
    SelfTestError,
    UnsupportedModelError,
)
from resift.cli.main import main
from resift.export import export_triton


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("mine", encoding="utf-8")
    with pytest.raises(InvalidRequestError, match="out exists already"):
        export_triton("resift-nano", out)
    assert [each.name for each in out.iterdir()] == ["mine"]
    broken = shutil.copytree(BUNDLED / "resift-nano", tmp_path / "broken")
    with (broken / "model.onnx.data").open("r+b") as file:
        file.write(b"\0" * 4096)
    with pytest.raises(UnsupportedModelError, match="damaged"):
        export_triton(broken, tmp_path / "new")
    assert {each.name for each in tmp_path.iterdir()} == {"out", "broken"}
    (out / "mine").unlink()
    export_triton("resift-nano", out)
    assert (out / "README.md").exists()


def test_a_model_that_gives_other_logits_is_refused(tmp_path: Path) -> None:
    other = shutil.copytree(BUNDLED / "resift-nano", tmp_path / "other")
    golden = json.loads((other / "golden.json").read_text(encoding="utf-8"))
    for pair in golden["pairs"]:
        pair["logit"] += 5
    (other / "golden.json").write_text(json.dumps(golden), encoding="utf-8")
    with pytest.raises(SelfTestError):
        export_triton(other, tmp_path / "out")
    with pytest.raises(BackendUnavailableError, match="fp16"):
        export_triton("resift-nano", tmp_path / "out", precision="fp16")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--calibration", "x.jsonl"], "--calibration verifies an export of weights"),
        (["--threads", "0"], "threads must be an int of at least 1"),
        (["--target", "avx2", "--gpu"], "--gpu and --threads are for --target triton"),
        (["--target", "any", "--threads", "2"], "--gpu and --threads are for --target triton"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    arguments: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["export", "resift-nano", str(tmp_path / "out"), "--target", "triton", *arguments]
    assert main(given) == 2
    assert words in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_what_can_not_be_served_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelNotFoundError, match="no model 'resift-nnao'"):
        export_triton("resift-nnao", tmp_path / "out")
    tiny = tiny_models.build(tmp_path / "tiny")
    with pytest.raises(UnsupportedModelError, match=r"expected a checkpoint.*leave --gpu out"):
        export_triton(tiny, tmp_path / "out", gpu=True)
    (tiny / "model.onnx").rename(tiny / "model.safetensors")
    # Where torch is installed, it would be exported.
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BackendUnavailableError, match=r"no weights as onnx; and resift export"):
        export_triton(tiny, tmp_path / "out")
    assert not (tmp_path / "out").exists()
