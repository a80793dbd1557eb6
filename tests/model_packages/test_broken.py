"""Installed packages of models that are altered, broken or have each other's names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import tiny_models
from model_packages.packaged import TEXTS, Capsys, without_digests
from packages import write_package

import resift
from resift import ModelNotFoundError, Reranker, ResiftError, UnsupportedModelError
from resift.cli.main import main

GROUP = "resift.models"


@pytest.mark.parametrize("file", ["tokenizer.json", "config.json", "model.onnx", "golden.json"])
def test_an_altered_file_is_refused(installed: Path, file: str, capsys: Capsys) -> None:
    (installed / file).write_bytes((installed / file).read_bytes() + b" ")
    with pytest.raises(UnsupportedModelError, match=rf"{file}.*install acme-ranker again"):
        Reranker("acme-ranker").warm_up()
    assert main(["models", "verify"]) == 3
    assert "fault: acme-ranker of acme-ranker 1.2.0" in capsys.readouterr().out


def test_files_that_come_or_go_are_refused(installed: Path) -> None:
    (installed / "model_fp16.onnx").write_bytes(b"")
    with pytest.raises(UnsupportedModelError, match=r"model_fp16\.onnx doesn't belong"):
        Reranker("acme-ranker").warm_up()
    (installed / "model_fp16.onnx").unlink()
    (installed / "tokenizer.json").unlink()
    with pytest.raises(ModelNotFoundError, match=r"tokenizer\.json is missing"):
        Reranker("acme-ranker").warm_up()


def empty(folder: Path) -> None:
    folder.mkdir()


def nothing(folder: Path) -> None:
    return None


BROKEN: dict[str, tuple[str, str, Callable[[Path], object], str]] = {
    "no package": ("bad", "is_not_there", nothing, "there is no package 'is_not_there'"),
    "a module": ("bad", "acme", nothing, "there is no package 'acme'"),
    "no folder": ("bad", "acme_data", nothing, "there is no folder"),
    "an object": ("bad", "acme_data:MODEL", nothing, "the name of a package"),
    "a path": ("bad", "../acme_data", nothing, "the name of a package"),
    "no files": ("bad", "acme_data", empty, r"card\.json is missing"),
    "no card": ("bad", "acme_data", tiny_models.build, r"card\.json is missing or lacks digests"),
    "no digests": ("bad", "acme_data", without_digests, "lacks digests"),
}


@pytest.mark.parametrize(("name", "value", "fill", "why"), BROKEN.values(), ids=BROKEN)
def test_a_broken_package_is_named_and_leaves_others_whole(
    name: str,
    value: str,
    fill: Callable[[Path], object],
    why: str,
    installed: Path,
    site: Path,
    capsys: Capsys,
) -> None:
    code = "raise AssertionError('imported')"
    write_package(site, "acme", {GROUP: {name: value}}, code)
    (site / "acme_data").mkdir()
    (site / "acme_data/__init__.py").write_text(code, encoding="utf-8")
    fill(site / "acme_data" / name)
    with pytest.raises(ResiftError, match=why) as caught:
        Reranker(name).warm_up()
    assert "'bad' of acme 1.2" in str(caught.value)
    assert "install acme again" in str(caught.value)
    assert Reranker("acme-ranker").rank("a", TEXTS)[0].index == 0
    assert main(["models", "list"]) == 0
    assert main(["models", "verify"]) == 3
    out = capsys.readouterr().out
    assert "fault: bad of acme 1.2" in out
    assert "whole: acme-ranker of acme-ranker 1.2.0" in out


def test_a_name_with_a_path_in_it_is_listed_as_a_fault(site: Path, capsys: Capsys) -> None:
    write_package(site, "acme", {GROUP: {"../up": "acme"}}, "")
    assert main(["models", "list"]) == 0
    assert "'../up' of acme 1.2" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("acme-ranker", r"acme-ranker 1\.2\.0"),
        ("resift-small", rf"resift {resift.__version__}"),
        ("bge-reranker-base", "resift's catalogue, 'BAAI/bge-reranker-base'"),
    ],
)
def test_a_name_that_two_have_is_an_error_that_names_both(
    name: str, other: str, installed: Path, site: Path, capsys: Capsys
) -> None:
    write_package(site, "bolt", {GROUP: {name: "bolt"}}, "")
    with pytest.raises(UnsupportedModelError, match=r"bolt 1\.2") as caught:
        Reranker(name, offline=True).warm_up()
    assert caught.match(other)
    assert Reranker("resift-nano").rank("a", TEXTS).status == "complete"
    assert main(["models", "list"]) == 0
    assert "bolt 1.2" in capsys.readouterr().err


def test_damaged_metadata_of_something_else_are_left_out(
    installed: Path, site: Path, caplog: pytest.LogCaptureFixture
) -> None:
    about = site / "torn-1.0.dist-info"
    about.mkdir()
    (about / "entry_points.txt").write_text("[console_scripts]\ntorn\n", encoding="utf-8")
    assert Reranker("acme-ranker").rank("a", TEXTS)[0].index == 0
    assert "can't be read" in caplog.text
