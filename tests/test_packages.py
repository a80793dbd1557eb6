"""Models as packages: wheels that are the same each time, found by name; and broken ones."""

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
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny_models
from packages import BUNDLED, write_package
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

import resift
from resift import ModelNotFoundError, Reranker, ResiftError, UnsupportedModelError, plugins
from resift.cli.main import main
from resift.models.packages import usable_names
from resift.models.store.manifest import BUNDLE_MANIFEST
from resift.server import memory
from resift.server.config import Config
from resift.server.models import Models

GROUP = "resift.models"
MODULE = "resift_model_acme_ranker"
TEXTS = ["good", "bad"]
Capsys = pytest.CaptureFixture[str]


def package(model: Path, out: Path, *options: str, name: str = "acme-ranker") -> Path:
    """The wheel that the command writes."""
    command = ["models", "package", str(model), "--name", name, "--version", "1.2.0"]
    assert main([*command, "--out", str(out), *options]) == 0
    (wheel,) = out.glob(f"{name.replace('-', '_')}-*.whl")
    return wheel


def refused(capsys: Capsys, *options: str) -> str:
    capsys.readouterr()
    assert main(["models", "package", *options]) in (2, 3)
    return capsys.readouterr().err


def install(wheel: Path, folder: Path) -> Path:
    """Install a wheel as pip does without a network."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-cache-dir", "--no-index"]
    subprocess.run(
        [*command, "--no-deps", "--no-compile", "--target", str(folder), str(wheel)],
        check=True,
        timeout=120,
    )
    return folder


@pytest.fixture(scope="session")
def nano_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package(BUNDLED / "resift-nano", tmp_path_factory.mktemp("nano"))


@pytest.fixture(scope="session")
def tiny_wheel(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel of a model that had neither a card nor golden pairs."""
    return package(tiny, tmp_path_factory.mktemp("tiny-wheel"), "--license", "MIT")


@pytest.fixture(scope="session")
def tiny_site(tiny_wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install(tiny_wheel, tmp_path_factory.mktemp("tiny-site"))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that this process finds packages in, as if they had always been there."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setattr(plugins, "installed", plugins.installed.__wrapped__)
    plugins.warn_once.cache_clear()
    return folder


@pytest.fixture
def installed(tiny_site: Path, site: Path) -> Path:
    """The tiny model's folder, in a package that this process finds."""
    shutil.copytree(tiny_site, site, dirs_exist_ok=True)
    return site / MODULE / "acme-ranker"


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


def test_the_command_line_shows_it(installed: Path, capsys: Capsys) -> None:
    assert main(["models", "list"]) == 0
    out, err = capsys.readouterr()
    rows = [line.split() for line in out.splitlines()]
    assert ["acme-ranker", "acme-ranker", "1.2.0", "MIT", "yes"] in rows
    assert ["resift-nano", "resift", resift.__version__, "Apache-2.0", "yes"] in rows
    assert err == ""
    assert main(["models", "show", "acme-ranker"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["package"] == {
        "folder": str(installed),
        "name": "acme-ranker",
        "package": MODULE,
        "distribution": "acme-ranker",
        "version": "1.2.0",
    }
    assert shown["here"]["runs"][0]["precision"] == "fp32"
    assert main(["models", "verify", "acme-ranker"]) == 0
    assert "whole: acme-ranker of acme-ranker 1.2.0, 6 files" in capsys.readouterr().out
    assert main(["models", "pull", "acme-ranker"]) == 0
    assert main(["rank", "--model", "acme-ranker", "a", *TEXTS]) == 0
    assert main(["models", "pull", "acme-rankr"]) == 3
    assert f"in an installed package {usable_names()}" in capsys.readouterr().err
    assert {"acme-ranker", "resift-nano", "resift-small"} <= set(usable_names())


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


def without_digests(folder: Path) -> None:
    tiny_models.build(folder)
    artifact = {"format": "onnx", "precision": "fp32", "file": "model.onnx"}
    card = {"max_length": 32, "window": 32, "tolerance": 1e-4, "artifacts": [artifact]}
    (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")


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


def test_a_path_is_never_a_packages_name(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_models.build(tmp_path / "acme-ranker")
    assert Reranker("acme-ranker").rank("a", TEXTS).revision is not None
    for model in (Path("acme-ranker"), "./acme-ranker"):
        assert Reranker(model).rank("a", TEXTS).revision is None


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


def test_a_server_has_it_and_counts_its_estimator(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The memory that a model is taken for includes the files of its estimator, in a package."""
    # As if the system didn't tell, so that files are all that is counted.
    monkeypatch.setattr(memory, "_resident_bytes", lambda: 0)
    card = json.loads((installed / "card.json").read_text(encoding="utf-8"))
    model = Path(shutil.copytree(installed, tmp_path / "model"))
    (model / BUNDLE_MANIFEST).unlink()
    sizes = {}
    for name in ("acme-ranker", "acme-none"):
        estimator = {"model": name, "sha256": card["artifacts"][0]["sha256"], "margin": 1.0}
        content = json.dumps({**card, "estimator": estimator})
        (model / "card.json").write_text(content, encoding="utf-8")
        path = tmp_path / f"{name}.toml"
        path.write_text(
            f'[models.one]\nmodel = "{model.as_posix()}"\n[models.two]\nmodel = "acme-ranker"\n',
            encoding="utf-8",
        )
        models = Models(Config.read(path))
        assert models.find("two").reranker.rank("a", TEXTS)[0].index == 0
        models.find("one").reranker.warm_up()
        sizes[name] = {each.name: each.residents[0].size for each in models.all}
    assert sizes["acme-none"]["two"] == sizes["acme-ranker"]["two"]
    more = sizes["acme-ranker"]["one"] - sizes["acme-none"]["one"]
    assert more == sum(path.stat().st_size for path in installed.iterdir())
