"""``resift models``, bundles, and the catalogue."""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
from pathlib import Path
from typing import Any

import hub_server
import pytest
import tiny_models
from hub_client import DOCUMENTS, NEEDED, Client
from packages import BUNDLED

from resift import InvalidRequestError, ModelNotFoundError, Reranker, UnsupportedModelError
from resift.cli.main import main
from resift.families.table import FAMILIES
from resift.loading.finding import find_files
from resift.models.card import USUAL_ARTIFACTS
from resift.models.catalogue import find_listing, listings
from resift.models.packages import packaged_models
from resift.models.store.cache import Cache
from resift.models.store.manifest import BUNDLE_MANIFEST, Manifest
from resift.options import LoadOptions


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of this process: empty."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("RESIFT_CACHE", str(folder))
    return folder


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


def test_verify_names_the_fault(
    tiny: Path, tmp_path: Path, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("good", "bad"):
        archive = tmp_path / f"{name}.zip"
        model = Path(shutil.copytree(tiny, tmp_path / name))
        (model / "README.md").write_text(name, encoding="utf-8")
        shutil.make_archive(str(tmp_path / name), "zip", model)
        Reranker(archive).warm_up()
    (bad,) = (
        path
        for path in cache.glob("file--*")
        if (path / "README.md").read_text(encoding="utf-8") == "bad"
    )
    (bad / "tokenizer.json").unlink()
    assert main(["models", "verify"]) == 3
    out, err = capsys.readouterr()
    told = [line.partition(":") for line in out.splitlines()]
    packaged = [each.name for each in packaged_models()]
    assert [each[0] for each in sorted(told)] == ["fault", "whole", *("whole" for _ in packaged)]
    assert [each[2].partition(" of ")[0].strip() for each in told[2:]] == packaged
    assert str(bad / "tokenizer.json") in out
    assert f"1 of {2 + len(packaged)}" in err
    assert main(["models", "verify", bad.name]) == 3
    assert main(["models", "verify", "none"]) == 3
    (cache / ".resift/records" / f"{bad.name}.json").write_text("[]", encoding="utf-8")
    assert main(["models", "verify", bad.name]) == 3
    assert "is not a list of a model's files" in capsys.readouterr().out
    assert main(["models", "remove", bad.name]) == 0
    assert main(["models", "verify"]) == 0


@pytest.mark.parametrize("name", ["..", ".", ".resift", "", "/", "../x", "a/../../b"])
def test_remove_deletes_models_alone(cache: Path, name: str) -> None:
    (cache / ".resift/records").mkdir(parents=True)
    for folder in (cache, cache / ".resift"):
        folder.chmod(0o700)
    for folder in (cache / "a", cache.parent / "b"):
        folder.mkdir()
    assert main(["models", "remove", name]) == 3
    assert (cache / ".resift/records").is_dir()
    assert (cache.parent / "b").is_dir()


def test_remove_deletes_links_and_not_their_targets(cache: Path, tiny: Path) -> None:
    cache.mkdir(mode=0o700)
    (cache / "ms-marco-MiniLM-L-12-v2").symlink_to(tiny)
    assert main(["models", "remove", "ms-marco-MiniLM-L-12-v2"]) == 0
    assert not list(cache.glob("ms-marco*"))
    assert (tiny / "config.json").is_file()


def test_unknown_models_and_conflicting_flags_are_refused(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["models", "show", "none"]) == 3
    assert main(["models", "pull", "none"]) == 3
    assert "resift models list" in capsys.readouterr().err
    assert main(["models", "show", "resift-small"]) == 0
    assert json.loads(capsys.readouterr().out)["card"]["license"] == "Apache-2.0"
    with pytest.raises(SystemExit):
        main(["rank", "--bundle", "a", "--model", "b", "q", "d"])


def test_a_cache_that_cannot_be_written_is_refused(tmp_path: Path, tiny: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o500)
    if os.access(cache, os.W_OK):
        # Root's, who makes no folder there. Windows knows no such mode.
        cache = Path("/sys/cache")
        if not cache.parent.is_dir():
            pytest.skip("this user may write anywhere")
    archive = shutil.make_archive(str(tmp_path / "model"), "zip", tiny)
    with pytest.raises(InvalidRequestError, match="can't be written"):
        Reranker(archive, cache_dir=cache).warm_up()


def test_a_cache_in_a_read_only_image_is_used(
    tmp_path: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    name = "ms-marco-MiniLM-L-12-v2"
    shutil.copytree(tiny, tmp_path / name)
    (tmp_path / ".resift").mkdir(mode=0o700)
    before = sorted(tmp_path.rglob("*"))
    # As for a user who isn't root.
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    monkeypatch.delattr("filelock.FileLock")
    with caplog.at_level(logging.WARNING):
        ranking = Reranker(name, cache_dir=tmp_path, offline=True).rank("a", DOCUMENTS)
    assert ranking[0].index == 1
    assert "will not be noticed" in caplog.text
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_in_place_of_the_cache_is_refused(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / "cache").write_text("", encoding="utf-8")
    archive = shutil.make_archive(str(tmp_path / "model"), "zip", tiny)
    with pytest.raises(InvalidRequestError, match="can't be written"):
        Reranker(archive, cache_dir=tmp_path / "cache").warm_up()


def test_the_cache_is_found_by_argument_environment_and_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RESIFT_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr("sys.platform", "linux")
    assert Cache.at(None).root == tmp_path / "resift"
    monkeypatch.setenv("RESIFT_CACHE", str(tmp_path / "own"))
    assert Cache.at(None).root == tmp_path / "own"
    assert Cache.at(tmp_path / "given").root == tmp_path / "given"
    assert not list(tmp_path.iterdir())


def test_a_manifest_is_read_as_it_was_written(tmp_path: Path, tiny: Path) -> None:
    manifest = Manifest.of(tiny, name="tiny", revision=None)
    manifest.write(tmp_path / "records/tiny.json")
    assert Manifest.read(tmp_path / "records/tiny.json") == manifest
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["tiny.json"]


def test_the_catalogues_entries_are_found_and_consistent() -> None:
    known = listings()
    assert len(known) >= 38
    for name, listing in known.items():
        assert find_listing(name) is listing
        assert listing.revision is None
        assert not listing.run_here
        assert listing.formats
        if listing.source == "hub":
            assert find_listing(listing.repository) is listing
            assert set(listing.formats) <= {each.format for each in USUAL_ARTIFACTS}
        assert listing.window is None or (listing.max_length or 0) <= listing.window
    runnable = {name for name, each in known.items() if each.family in FAMILIES}
    assert {"ms-marco-TinyBERT-L-2-v2", "bge-reranker-v2-m3", "ettin-reranker-17m-v1"} <= runnable


def test_the_catalogues_max_length_is_the_default(tmp_path: Path) -> None:
    name = "gte-reranker-modernbert-base"
    folder = tiny_models.build(tmp_path, positions=8192)
    Manifest.of(folder, name=name, revision=None).write(folder / BUNDLE_MANIFEST)
    ranking = Reranker(folder).rank("a", ["good " * 1500])
    assert listings()[name].max_length == 1024
    assert ranking[0].truncated_tokens == 1500 - (1024 - 3 - 1)


def find(model: str | Path, cache: Path, backend: str = "torch", **options: Any) -> object:
    return find_files(LoadOptions(model=model, cache_dir=cache, offline=True, **options), [backend])


def trust(trusted: bool) -> dict[str, Any]:
    return {"trust_remote_code": True, "revision": "0" * 40} if trusted else {}


def test_code_from_repositories_is_never_run(tiny: Path, tmp_path: Path) -> None:
    for trusted, message in ((False, "trust_remote_code=True is given"), (True, "even then")):
        with pytest.raises(UnsupportedModelError, match=message):
            find("gte-multilingual-reranker-base", tmp_path / "none", **trust(trusted))
    model = Path(shutil.copytree(tiny, tmp_path / "model"))
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config["auto_map"] = {"AutoModelForSequenceClassification": "modeling.Model"}
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UnsupportedModelError, match="only code from its repository"):
        find(model, tmp_path)
    # A graph is data: it needs none.
    find(model, tmp_path, "onnx")
    # Nor does a model whose code a backend has.
    config["architectures"] = ["CostWiseGemmaForCausalLM"]
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    find(model, tmp_path, "flag_embedding")
    with pytest.raises(UnsupportedModelError, match="only code from its repository"):
        find(model, tmp_path, "torch")

    commit = "0" * 40
    assert Reranker(model, trust_remote_code=True, revision=commit).options["trust_remote_code"]
    for revision in (None, "main", "0" * 39):
        with pytest.raises(InvalidRequestError, match="full commit"):
            Reranker(model, trust_remote_code=True, revision=revision)
    with pytest.raises(InvalidRequestError, match="must be a bool"):
        Reranker(model, trust_remote_code="yes")  # type: ignore[arg-type]


def test_torch_weights_are_fetched_whole(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    index = json.dumps({"weight_map": {"a": "model-00001-of-00002.safetensors"}}).encode()
    parts = {f"model-0000{n}-of-00002.safetensors": bytes([n]) for n in (1, 2)}
    described = {name: files[name] for name in NEEDED if name.endswith(".json")}
    hub.commit("acme/one", files)
    hub.commit(
        "acme/many", {**described, **parts, "model.safetensors.index.json": index, "x.bin": b"x"}
    )
    hub.commit("acme/code", {**files, "config.json": b'{"auto_map": {"AutoModel": "m.M"}}'})
    program = """
from resift.errors import ResiftError
from resift.loading.finding import find_files
from resift.options import LoadOptions

for name in ("acme/one", "acme/many", "acme/code"):
    for offline in (False, True):
        try:
            find_files(LoadOptions(model=name, offline=offline), ["torch"])
        except ResiftError as error:
            print(error)
"""
    done = client.run("-c", program)
    assert done.returncode == 0, done.stderr
    code, code_offline = done.stdout.splitlines()
    assert "only code from its repository" in code
    assert "not in the cache" in code_offline
    assert hub.fetched("acme/one") == sorted({*described, "model.safetensors"})
    assert hub.fetched("acme/many") == sorted({*described, *parts, "model.safetensors.index.json"})
    assert hub.fetched("acme/code") == ["config.json"]
