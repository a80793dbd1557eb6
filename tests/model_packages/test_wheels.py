"""Wheels of models: the same each time, and what is in them."""

from __future__ import annotations

import base64
import csv
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from model_packages.packaged import MODULE, TEXTS, Capsys, install, package, refused
from packages import BUNDLED
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

import resift
from resift import Reranker
from resift.models.store.manifest import BUNDLE_MANIFEST


def test_a_wheel_ranks_by_name_without_a_network(nano_wheel: Path, tmp_path: Path) -> None:
    code = """
import json, sys
from resift import Reranker
golden = json.load(open(sys.argv[1], encoding="utf-8"))
options = {"precision": "fp32", "normalization": "none", "backend": "onnx", "offline": True}
model = Reranker("acme-ranker", **options)
found = [model.score(each["query"], [each["document"]])[0] for each in golden["pairs"]]
ranking = model.rank("a", ["b"])
imported = [each for each in sys.modules if each.startswith("resift_model")]
print(json.dumps([found, ranking.model, ranking.revision, imported]))
"""
    golden = BUNDLED / "resift-nano/golden.json"
    path = [str(install(nano_wheel, tmp_path / "site")), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-c", code, str(golden)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path)},
        cwd=tmp_path,
        check=True,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        timeout=120,
    )
    logits, model, revision, imported = json.loads(done.stdout)
    content = json.loads(golden.read_text(encoding="utf-8"))
    expected = [each["logit"] for each in content["pairs"]]
    assert logits == pytest.approx(expected, abs=content["tolerance"])
    assert (model, revision, imported) == ("acme-ranker", "0.5.0", [])


def test_the_same_model_gives_the_same_bytes(
    nano_wheel: Path, tiny: Path, tiny_wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    for model, wheel, options in (
        (BUNDLED / "resift-nano", nano_wheel, ()),
        (tiny, tiny_wheel, ("--license", "MIT")),
    ):
        copy = tmp_path / f"copy of {wheel.parent.name}"
        copy.mkdir()
        for path in sorted(model.iterdir(), reverse=True):
            shutil.copyfile(path, copy / path.name)
            (copy / path.name).chmod(0o600)
            os.utime(copy / path.name, (1e9, 1e9))
        before = os.umask(0o077)
        try:
            again = package(copy, tmp_path / wheel.parent.name, *options)
        finally:
            os.umask(before)
        assert again.read_bytes() == wheel.read_bytes()
        # As one's own work, written once more, it isn't another content.
        assert package(model, wheel.parent, *options) == wheel


@pytest.mark.parametrize("wheel", ["nano_wheel", "tiny_wheel"])
def test_a_wheel_is_what_installers_and_indexes_expect(
    wheel: str, request: pytest.FixtureRequest
) -> None:
    path: Path = request.getfixturevalue(wheel)
    name, version, _, tags = parse_wheel_filename(path.name)
    assert (name, str(version), [*map(str, tags)]) == ("acme-ranker", "1.2.0", ["py3-none-any"])
    with zipfile.ZipFile(path) as archive:
        info = "acme_ranker-1.2.0.dist-info"
        names = archive.namelist()
        rows = [*csv.reader(archive.read(f"{info}/RECORD").decode().splitlines())]
        assert [row[0] for row in rows] == names
        assert rows.pop() == [f"{info}/RECORD", "", ""]
        for file, digest, size in rows:
            content = archive.read(file)
            found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            assert (digest, int(size)) == (f"sha256={found.decode()}", len(content))
        about = Metadata.from_email(archive.read(f"{info}/METADATA"), validate=True)
        assert archive.read(f"{MODULE}/__init__.py") == b""
        assert f"{MODULE}/acme-ranker/{BUNDLE_MANIFEST}" in names
        assert f"{MODULE}/acme-ranker/golden.json" in names
        card = json.loads(archive.read(f"{MODULE}/acme-ranker/card.json"))
        licences = {each.rpartition("/")[2] for each in names if "/licenses/" in each}
    assert about.requires_dist == [Requirement(f"resift>={resift.__version__}")]
    assert about.license_expression == card["license"]
    assert licences == set(about.license_files or ())
    assert licences == ({"LICENSE"} if wheel == "nano_wheel" else set())


def test_a_card_is_made_where_there_is_none(installed: Path, tiny: Path) -> None:
    card, golden = (
        json.loads((installed / f"{each}.json").read_text(encoding="utf-8"))
        for each in ("card", "golden")
    )
    digest = hashlib.sha256((tiny / "model.onnx").read_bytes()).hexdigest()
    assert (card["artifacts"][0]["sha256"], golden["model_sha256"]) == (digest, digest)
    assert (card["window"], card["max_length"], card["license"]) == (32, 32, "MIT")
    by_name, by_path = Reranker("acme-ranker"), Reranker(tiny)
    assert by_name.score("a", TEXTS) == by_path.score("a", TEXTS)
    # The names of packages go before folders, as those of bundled models do.
    assert by_name.rank("a", TEXTS).revision == digest[:12]


def test_weights_beside_a_graph_are_on_the_card(tmp_path: Path) -> None:
    model = tiny_models.split(tmp_path / "model", "weights.bin", data="weights.bin")
    wheel = package(model, tmp_path, "--license", "MIT")
    with zipfile.ZipFile(wheel) as archive:
        card: dict[str, Any] = json.loads(archive.read(f"{MODULE}/acme-ranker/card.json"))
        data = archive.read(f"{MODULE}/acme-ranker/weights.bin")
    (artifact,) = card["artifacts"]
    assert artifact["data_file"] == "weights.bin"
    assert artifact["data_sha256"] == hashlib.sha256(data).hexdigest()


def test_an_estimator_of_another_package_is_required(
    installed: Path, tmp_path: Path, capsys: Capsys
) -> None:
    card = json.loads((installed / "card.json").read_text(encoding="utf-8"))
    named = {"sha256": card["artifacts"][0]["sha256"], "margin": 1.0}
    model = Path(shutil.copytree(installed, tmp_path / "model"))
    (model / BUNDLE_MANIFEST).unlink()
    for name, expected in (("acme-ranker", "acme-ranker>=1.2.0"), ("resift-nano", None)):
        content = {**card, "estimator": {"model": name, **named}}
        (model / "card.json").write_text(json.dumps(content), encoding="utf-8")
        wheel = package(model, tmp_path / name, name="acme-large")
        with zipfile.ZipFile(wheel) as archive:
            text = archive.read("acme_large-1.2.0.dist-info/METADATA").decode()
        assert (f"Requires-Dist: {expected}\n" in text) == (expected is not None)
        assert text.count("Requires-Dist") == 1 + (expected is not None)
    content = {**card, "estimator": {"model": "acme-none", **named}}
    (model / "card.json").write_text(json.dumps(content), encoding="utf-8")
    given = ("--name", "acme-large", "--version", "1", "--out", str(tmp_path))
    assert "'acme-none', which no installed package has" in refused(capsys, str(model), *given)
