"""Models that ``resift models package`` refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny_models
from model_packages.packaged import Capsys, package, refused, without_digests
from packages import BUNDLED

NAMED = ("--version", "1.2.0", "--license", "MIT")


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--name", "acme-", *NAMED), "isn't the name of a distribution"),
        (("--name", "ac/me", *NAMED), "isn't the name of a distribution"),
        (("--name", "acmé", *NAMED), "isn't the name of a distribution"),
        (("--name", "Resift_Small", *NAMED), "has a model 'resift-small'"),
        (("--name", "resift", *NAMED), "is installed, and has no model"),
        (("--name", "bge-reranker-base", *NAMED), "catalogue has a model"),
        (("--name", "NumPy", *NAMED), "is installed, and has no model"),
        (("--name", "acme", "--version", "1.2-beta", "--license", "MIT"), "isn't a version"),
        (("--name", "acme", "--version", "v1", "--license", "MIT"), "isn't a version"),
        (("--name", "acme", "--version", "1.02", "--license", "MIT"), "isn't a version"),
        (("--name", "acme", "--version", "1"), "has no licence"),
        (("--name", "acme", "--version", "1", "--license", "my own"), "isn't an SPDX"),
        (("--name", "acme", "--version", "1", "--license", "(MIT OR"), "isn't an SPDX"),
        (("--name", "acme", *NAMED, "--license-file", "not there"), "isn't a file"),
        (("--name", "acme", *NAMED, "--without-license"), "but there is MIT"),
        (("--name", "acme", *NAMED, "--summary", "a\nb"), "expected one line"),
    ],
)
def test_what_cannot_be_a_package_is_refused(
    options: tuple[str, ...], why: str, tiny: Path, tmp_path: Path, capsys: Capsys
) -> None:
    out = tmp_path / "out"
    assert why in refused(capsys, str(tiny), "--out", str(out), *options)
    assert not out.exists()


def spoil(folder: Path) -> None:
    path = folder / "golden.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    # The longest, which loading doesn't compute.
    longest = max(content["pairs"], key=lambda each: len(each["query"] + each["document"]))
    longest["logit"] += 1
    path.write_text(json.dumps(content), encoding="utf-8")


def test_a_model_that_fails_its_self_test_is_refused(tmp_path: Path, capsys: Capsys) -> None:
    model = Path(shutil.copytree(BUNDLED / "resift-nano", tmp_path / "model"))
    spoil(model)
    out = tmp_path / "out"
    given = ("--name", "acme", "--version", "1", "--out", str(out))
    assert "doesn't compute the logits of its golden pairs" in refused(capsys, str(model), *given)
    assert not list(out.iterdir())


def test_models_that_say_too_little_are_refused(tmp_path: Path, capsys: Capsys) -> None:
    given = ("--name", "acme", "--version", "1", "--license", "MIT", "--out", str(tmp_path))
    half = tiny_models.build(tmp_path / "half", precision="fp16")
    assert "neither a card nor float32 weights" in refused(capsys, str(half), *given)
    without_digests(tmp_path / "vague")
    assert "lacks digests" in refused(capsys, str(tmp_path / "vague"), *given)


def test_a_version_stands_for_one_content(tiny: Path, tmp_path: Path, capsys: Capsys) -> None:
    wheel = package(tiny, tmp_path, "--license", "MIT")
    before = wheel.read_bytes()
    given = ("--name", "acme-ranker", "--version", "1.2.0", "--out", str(tmp_path))
    assert "with other content" in refused(capsys, str(tiny), *given, "--license", "BSD-3-Clause")
    assert wheel.read_bytes() == before
