"""``resift export``: what it takes, refuses and writes beside the graph."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity.encoders import save_encoder, transformers
from parity.export.logits import engine_logits, source_logits
from parity.texts import DOCUMENTS

import resift.export.command as exporting
from resift import BackendUnavailableError, InvalidRequestError, UnsupportedModelError
from resift.cli.main import main
from resift.export import graph, libraries


def test_large_weights_are_beside_the_graph(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "_MAX_INLINE", 30_000)
    card = exporting.export(bert, tmp_path / "out", "int8")
    for artifact in card["artifacts"]:
        data = tmp_path / "out" / artifact["data_file"]
        assert artifact["data_sha256"] == sha256(data.read_bytes()).hexdigest()
    for precision in ("int8", "fp32"):
        found = engine_logits(tmp_path / "out", DOCUMENTS[:9], precision=precision)
        expected = source_logits(bert, DOCUMENTS[:9])
        np.testing.assert_allclose(found, expected, rtol=0, atol=card["tolerance"])


def test_an_existing_folder_is_kept(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("text", encoding="utf-8")
    for out in (tmp_path, tmp_path / "mine"):
        with pytest.raises(InvalidRequestError, match="exists"):
            exporting.export(bert, out)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    (tmp_path / "empty").mkdir()
    exporting.export(bert, tmp_path / "empty")
    assert (tmp_path / "empty/card.json").is_file()


def test_other_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="3 labels"):
        exporting.export(save_encoder("bert", tmp_path / "three", num_labels=3), tmp_path / "out")
    headless = save_encoder("bert", tmp_path / "headless")
    config = json.loads((headless / "config.json").read_text(encoding="utf-8"))
    transformers.AutoModel.from_pretrained(headless).save_pretrained(headless)
    (headless / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UnsupportedModelError, match="lacks weights"):
        exporting.export(headless, tmp_path / "out")
    transformers.AutoModel.from_pretrained(headless).save_pretrained(headless)
    with pytest.raises(UnsupportedModelError, match="embedding model"):
        exporting.export(headless, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_command_exports_and_explains_failures(
    bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["export", str(bert), str(out)]
    assert main([*command, "--precision", "bf16"]) == 3
    assert "bf16" in capsys.readouterr().err
    assert main([*command, "--calibration", str(tmp_path / "none")]) == 2
    assert "calibration" in capsys.readouterr().err
    assert not out.exists()
    assert main([*command, "--precision", "int8"]) == 0
    assert "attention fused" in capsys.readouterr().out
    assert main(["rank", "--model", str(out), "a", "b", "c"]) == 0
    capsys.readouterr()
    assert main(command) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "nothing"), str(tmp_path / "other")]) == 3


def test_a_missing_extra_is_named(
    bert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(libraries, "import_module", missing)
    with pytest.raises(BackendUnavailableError):
        exporting.export(bert, tmp_path / "out")
    assert main(["export", str(bert), str(tmp_path / "out")]) == 3
    assert "pip install resift[export]" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
