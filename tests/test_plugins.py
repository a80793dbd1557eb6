"""Backends and families of other people's packages, and what broken ones leave whole."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar, Protocol

import pytest
from hub_client import Client
from hub_server import Hub
from packages import EXAMPLE, install_example, write_package

from resift import (
    BackendUnavailableError,
    InvalidRequestError,
    Reranker,
    UnsupportedModelError,
    plugins,
)
from resift.cli.main import main
from resift.families import SequenceClassification
from resift.families.table import find_family
from resift.testing import BackendContract, FamilyContract

ROOT = Path(__file__).parents[1]
BACKENDS, FAMILIES, MODELS = "resift.backends", "resift.families", "resift.models"
TEXTS = ["bread and butter", "salt and pepper"]
ENTRY = """
from resift.backends import BackendEntry
ENTRY = BackendEntry(
    {module!r}, "Backend", requires=[], install="it", devices={devices}, formats=["npy"],
    runs={{"fp32": ["fp32"]}},
)
"""


class TestOnnx(BackendContract):
    backend = "onnx"

    @pytest.fixture
    def model(self) -> str:
        return "resift-nano"


class TestSequenceClassification(FamilyContract):
    name = "sequence_classification"
    family = SequenceClassification
    config: ClassVar = {
        "model_type": "bert",
        "architectures": ["BertForSequenceClassification"],
        "max_position_embeddings": 512,
    }
    outputs = ((2.0,), (1.0,), (-1.0,))


class Install(Protocol):
    def __call__(self, name: str, points: dict[str, dict[str, str]], code: str = "") -> None: ...


@pytest.fixture
def install(site: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    def write(name: str, points: dict[str, dict[str, str]], code: str = "") -> None:
        monkeypatch.delitem(sys.modules, name, raising=False)
        write_package(site, name, points, code)

    return write


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example, installed into a folder."""
    return install_example(tmp_path_factory.mktemp("example"))


@pytest.fixture
def overlapping(example: Path, site: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A model that only the example's backend runs, with the example installed."""
    monkeypatch.syspath_prepend(example)
    from resift_example_plugin import fit

    return fit(TEXTS, tmp_path / "overlapping")


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading what is installed fails the test."""

    def refuse(group: str) -> Any:
        # A model by its name may be in any package.
        assert group == MODELS, f"entry points of {group} were read"
        return ()

    monkeypatch.setattr(plugins, "installed", refuse)


def test_the_example_passes_its_own_tests(example: Path) -> None:
    path = os.pathsep.join(filter(None, [str(example), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(EXAMPLE / "tests")],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.usefixtures("unread")
@pytest.mark.parametrize("backend", ["auto", "onnx"])
def test_what_resift_runs_itself_reads_no_entry_points(backend: str, tiny: Path) -> None:
    for model in ("resift-nano", tiny):
        reranker = Reranker(model, backend=backend)
        assert reranker.rank("a", ["good"]).backend == "onnx"


def test_a_backend_may_be_named(overlapping: Path) -> None:
    assert Reranker(overlapping, backend="overlap").rank("salt", TEXTS)[0].index == 1
    with pytest.raises(BackendUnavailableError, match="overlap"):
        Reranker("resift-nano", backend="overlap").warm_up()
    with pytest.raises(InvalidRequestError, match=r"'overlap'.*not 'overlaps'"):
        Reranker(overlapping, backend="overlaps")


def test_auto_takes_it_only_where_nothing_else_will_do(overlapping: Path, tiny: Path) -> None:
    assert Reranker(overlapping).rank("salt", TEXTS).backend == "overlap"
    assert Reranker(tiny).rank("a", ["good"]).backend == "onnx"
    with pytest.raises(BackendUnavailableError, match="onnx"):
        Reranker(overlapping, backend="onnx").warm_up()


def test_the_command_line_knows_it(overlapping: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "pull", str(overlapping)]) == 0
    assert main(["models", "pull", str(overlapping), "--backend", "onnx"]) != 0


def test_a_process_for_each_device_knows_it(
    overlapping: Path, example: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = os.pathsep.join(filter(None, [str(example), os.environ.get("PYTHONPATH")]))
    monkeypatch.setenv("PYTHONPATH", path)
    reranker = Reranker(overlapping, backend="overlap", devices=["cpu", "cpu"])
    assert reranker.rank("salt", TEXTS)[0].index == 1


def test_a_device_that_only_a_package_has(install: Install) -> None:
    code = ENTRY.format(module="acme", devices=["tpu"])
    install("acme", {BACKENDS: {"acme": "acme:ENTRY"}}, code)
    Reranker(device="tpu")
    with pytest.raises(BackendUnavailableError, match="abacus"):
        Reranker(device="abacus")


BROKEN: dict[str, tuple[dict[str, str], str, str]] = {
    "no module": ({"acme": "acme_is_not_there:ENTRY"}, "", "acme_is_not_there"),
    "no name": ({"acme": "acme:ENTRY"}, "", "ENTRY"),
    "its import fails": ({"acme": "acme:ENTRY"}, "raise OSError('no driver')", "no driver"),
    "another thing": ({"acme": "acme:ENTRY"}, "ENTRY = 1", "is 1; expected"),
}
each_fault = pytest.mark.parametrize(("points", "code", "why"), BROKEN.values(), ids=BROKEN)


@each_fault
def test_a_broken_backend_is_named_with_its_package(
    points: dict[str, str], code: str, why: str, install: Install, tiny: Path
) -> None:
    install("acme", {BACKENDS: points}, code)
    with pytest.raises(BackendUnavailableError, match=r"resift\.backends 'acme' of acme 1\.2") as e:
        Reranker(tiny, backend="acme")
    assert why in str(e.value)
    assert "update or uninstall the package" in str(e.value)


@each_fault
def test_a_broken_backend_leaves_others_whole(
    points: dict[str, str],
    code: str,
    why: str,
    install: Install,
    overlapping: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    install("acme", {BACKENDS: points}, code)
    for _ in range(2):
        assert Reranker(overlapping).rank("salt", TEXTS).backend == "overlap"
    (said,) = (each for each in caplog.records if each.levelno == logging.WARNING)
    assert "left out: resift.backends 'acme' of acme 1.2" in said.getMessage()
    assert why in said.getMessage()


@each_fault
def test_a_broken_family_is_named_with_its_package(
    points: dict[str, str],
    code: str,
    why: str,
    install: Install,
    caplog: pytest.LogCaptureFixture,
) -> None:
    install("acme", {FAMILIES: points}, code)
    with pytest.raises(UnsupportedModelError, match=r"resift\.families 'acme' of acme 1\.2") as e:
        find_family({}, "acme", "a model")
    assert why in str(e.value)
    with pytest.raises(UnsupportedModelError, match="embedding model"):
        find_family({}, None, "a model")
    assert "left out: resift.families 'acme' of acme 1.2" in caplog.text


def test_a_module_that_can_not_be_imported(install: Install, overlapping: Path) -> None:
    code = ENTRY.format(module="acme_backend", devices=["cpu"])
    install("acme", {BACKENDS: {"acme": "acme:ENTRY"}}, code)
    with pytest.raises(BackendUnavailableError, match=r"'acme' of acme 1\.2.*acme_backend"):
        Reranker(overlapping, backend="acme").warm_up()
    assert Reranker(overlapping).rank("salt", TEXTS).backend == "overlap"


def test_two_packages_of_one_name(
    install: Install, overlapping: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for package in ("acme", "bolt"):
        install(package, {BACKENDS: {"same": f"{package}:ENTRY"}}, "ENTRY = 1")
    with pytest.raises(BackendUnavailableError, match=r"acme 1\.2.*bolt 1\.2|bolt.*acme"):
        Reranker(overlapping, backend="same")
    assert Reranker(overlapping).rank("salt", TEXTS).backend == "overlap"
    assert "left out: resift.backends 'same'" in caplog.text


def test_a_name_that_resift_has_stays_its_own(
    install: Install, overlapping: Path, tiny: Path, caplog: pytest.LogCaptureFixture
) -> None:
    points = {BACKENDS: {"onnx": "acme:ENTRY"}, FAMILIES: {"mono_t5": "acme:ENTRY"}}
    install("acme", points, "raise AssertionError('imported')")
    assert Reranker(tiny, backend="onnx").rank("a", ["good"]).backend == "onnx"
    assert Reranker(overlapping).rank("salt", TEXTS).backend == "overlap"
    assert "'onnx' of acme 1.2, as resift has one of its own" in caplog.text


def test_a_family_that_stumbles_is_passed_over(
    install: Install, caplog: pytest.LogCaptureFixture, overlapping: Path
) -> None:
    code = """
from resift.families import SequenceClassification
class Careless(SequenceClassification):
    @classmethod
    def recognises(cls, config):
        return config["no such field"]
"""
    install("acme", {FAMILIES: {"careless": "acme:Careless"}}, code)
    config = json.loads((overlapping / "config.json").read_text(encoding="utf-8"))
    assert type(find_family(config, None, "a model")).__name__ == "Overlap"
    assert "'careless' of acme 1.2 can't say" in caplog.text
    assert "KeyError('no such field')" in caplog.text


def test_a_hub_model_whose_card_is_for_a_package(
    hub: Hub, client: Client, overlapping: Path, example: Path
) -> None:
    hub.commit("acme/overlap", {path.name: path.read_bytes() for path in overlapping.iterdir()})
    path = os.pathsep.join(filter(None, [str(example), os.environ.get("PYTHONPATH")]))
    (found,) = client.rank({"model": "acme/overlap"}, PYTHONPATH=path)
    assert found["backend"] == "overlap"
    assert hub.fetched("acme/overlap").count("weights.npy") == 1
