"""Licences of models in wheels."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from model_packages.packaged import Capsys, package, refused
from packaging.metadata import Metadata


@pytest.mark.parametrize("licence", ["Apache-2.0 OR (MIT AND BSD-3-Clause)", "LicenseRef-Acme"])
def test_licences_are_carried_with_their_texts(licence: str, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "TERMS").write_text("Ours.", encoding="utf-8")
    wheel = package(tiny, tmp_path, "--license", licence, "--license-file", str(tmp_path / "TERMS"))
    with zipfile.ZipFile(wheel) as archive:
        info = "acme_ranker-1.2.0.dist-info"
        about = Metadata.from_email(archive.read(f"{info}/METADATA"), validate=True)
        assert (about.license_expression, about.license_files) == (licence, ["TERMS"])
        assert archive.read(f"{info}/licenses/TERMS") == b"Ours."


def test_a_model_without_a_licence_stays_in_house(tiny: Path, tmp_path: Path) -> None:
    wheel = package(tiny, tmp_path, "--without-license")
    with zipfile.ZipFile(wheel) as archive:
        text = archive.read("acme_ranker-1.2.0.dist-info/METADATA").decode()
    assert "Classifier: Private :: Do Not Upload\n" in text
    assert "License" not in text


def test_a_card_keeps_its_licence(tmp_path: Path, capsys: Capsys) -> None:
    given = ("--name", "acme", "--version", "1", "--license", "MIT", "--out", str(tmp_path))
    assert "isn't the card's 'Apache-2.0'" in refused(capsys, "resift-nano", *given)
