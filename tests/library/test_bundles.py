"""Bundles of models: carried elsewhere, whole or altered."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import hub_server
import pytest
import tiny_models
from hub_client import DOCUMENTS, NEEDED, Client
from packages import BUNDLED

from resift import ModelNotFoundError, Reranker, UnsupportedModelError
from resift.cli.main import main
from resift.models.packages import packaged_models
from resift.models.store.manifest import Manifest


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_model_is_carried_from_the_hub_to_an_offline_site(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes], tmp_path: Path
) -> None:
    commit = hub.commit("BAAI/bge-reranker-base", files)
    name, out = "bge-reranker-base", str(tmp_path / "out.zip")
    pulled = client.resift("models", "pull", name)
    assert (pulled.returncode, pulled.stderr) == (0, "")
    assert f"{name} (revision {commit})" in pulled.stdout
    (listed,) = (
        line
        for line in client.resift("models", "list").stdout.splitlines()
        if line.startswith(f"{name} ")
    )
    assert listed.split() == [name, "BAAI/bge-reranker-base", "278M", "parameters", "MIT", "yes"]
    shown = json.loads(client.resift("models", "show", name).stdout)
    assert shown["catalogue"]["license"] == "MIT"
    assert shown["cached"][0]["revision"] == commit
    assert set(shown["cached"][0]["files"]) == NEEDED
    assert client.resift("models", "verify").stdout.startswith("whole: models--BAAI--bge")
    assert client.resift("models", "bundle", name, out, "--offline").returncode == 0

    hub.requests.clear()
    elsewhere = client.resift(
        *("rank", "--bundle", out, "--format", "json", "a", *DOCUMENTS),
        RESIFT_CACHE=str(tmp_path / "elsewhere"),
    )
    ranking = json.loads(elsewhere.stdout)
    assert [result["index"] for result in ranking["results"]] == [1, 2, 0]
    assert ranking["revision"] == commit
    assert hub.requests == []

    assert client.resift("models", "remove", name).returncode == 0
    assert not (client.cache / "models--BAAI--bge-reranker-base").exists()
    # Those in packages.
    assert client.resift("models", "list").stdout.count(" yes") == len(packaged_models())
    again = client.resift("models", "remove", name)
    assert (again.returncode, name in again.stderr) == (3, True)


def test_a_bundle_has_weights_beside_the_graph_by_any_name(tmp_path: Path) -> None:
    model = tiny_models.split(tmp_path / "model", "weights.bin", data="weights.bin")
    assert main(["models", "bundle", str(model), str(tmp_path / "out")]) == 0
    expected = Reranker(model).rank("a", DOCUMENTS)
    assert Reranker(tmp_path / "out").rank("a", DOCUMENTS).results == expected.results


def test_a_folder_bundle_ranks_and_is_verified(
    tiny: Path, tmp_path: Path, cache: Path, no_network: None, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["models", "bundle", str(tiny), str(out)]) == 0
    expected = Reranker(tiny).rank("a", DOCUMENTS)
    assert Reranker(out).rank("a", DOCUMENTS).to_dict()["results"] == expected.to_dict()["results"]
    assert main(["models", "verify", str(out)]) == 0
    assert not cache.exists()
    assert main(["models", "bundle", str(tiny), str(out)]) == 2
    assert "exists already" in capsys.readouterr().err

    (out / "card.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UnsupportedModelError, match=r"card\.json doesn't belong"):
        Reranker(out).warm_up()
    (out / "card.json").unlink()
    (out / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UnsupportedModelError, match=r"config\.json is damaged"):
        Reranker(out).warm_up()
    assert main(["models", "verify", str(out)]) == 3
    (out / "config.json").unlink()
    with pytest.raises(ModelNotFoundError, match=r"config\.json is missing"):
        Reranker(out).warm_up()


def test_an_altered_bundle_is_not_unpacked(tiny: Path, tmp_path: Path, cache: Path) -> None:
    out = tmp_path / "out"
    assert main(["models", "bundle", str(tiny), str(out)]) == 0
    (out / "config.json").write_text(
        (out / "config.json").read_text(encoding="utf-8").replace("32", "64"), encoding="utf-8"
    )
    archive = shutil.make_archive(str(tmp_path / "out"), "zip", out)
    with pytest.raises(UnsupportedModelError, match=r"config\.json was altered"):
        Reranker(archive).warm_up()
    assert not list(cache.glob("file--*"))


def test_the_bundled_model_can_be_bundled(
    tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.zip"
    assert main(["models", "bundle", "resift-small", str(out)]) == 0
    ranking = Reranker(out).rank("a", DOCUMENTS)
    assert ranking.to_dict()["results"] == Reranker().rank("a", DOCUMENTS).to_dict()["results"]
    card = json.loads((BUNDLED / "resift-small/card.json").read_text(encoding="utf-8"))
    assert ranking.revision == card["revision"]
    assert main(["models", "list"]) == 0
    assert "resift-small" in capsys.readouterr().out.splitlines()[-1]
    assert main(["models", "remove", "resift-small"]) == 0
    assert not list(cache.glob("file--*"))


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path, tiny: Path) -> None:
    manifest = Manifest.of(tiny, name="tiny", revision=None)
    manifest.write(tmp_path / "records/tiny.json")
    assert Manifest.read(tmp_path / "records/tiny.json") == manifest
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["tiny.json"]
