"""Models of installed packages, by name: on the command line, in a server, and beside folders."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny_models
from model_packages.packaged import MODULE, TEXTS, Capsys

import resift
from resift import Reranker
from resift.cli.main import main
from resift.models.packages import usable_names
from resift.models.store.manifest import BUNDLE_MANIFEST
from resift.server import memory
from resift.server.config import Config
from resift.server.models import Models


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


def test_a_path_is_never_a_packages_name(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_models.build(tmp_path / "acme-ranker")
    assert Reranker("acme-ranker").rank("a", TEXTS).revision is not None
    for model in (Path("acme-ranker"), "./acme-ranker"):
        assert Reranker(model).rank("a", TEXTS).revision is None


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
