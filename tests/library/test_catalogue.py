"""The catalogue's models, and the code and weights that are taken from repositories."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import hub_server
import pytest
import tiny_models
from hub_client import NEEDED, Client

from resift import InvalidRequestError, Reranker, UnsupportedModelError
from resift.families.table import FAMILIES
from resift.loading.finding import find_files
from resift.models.card import USUAL_ARTIFACTS
from resift.models.catalogue import find_listing, listings
from resift.models.store.manifest import BUNDLE_MANIFEST, Manifest
from resift.options import LoadOptions


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
