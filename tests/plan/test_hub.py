"""Weights that each processor fetches from a hub."""

from __future__ import annotations

import json
from pathlib import Path

import hub_server
import pytest
from hub_client import BEST, NEEDED, Client, order
from processors import PROCESSORS

RUNS = {"avx512": ["int8", "fp32"], "unknown": ["fp32"]}
ON = pytest.mark.parametrize("on_processor", RUNS)


@ON
def test_each_processor_fetches_its_own_weights_from_a_hub(
    hub: hub_server.Hub, client: Client, four: dict[str, bytes], on_processor: str
) -> None:
    commit = hub.commit("acme/four", four)
    expected = RUNS[on_processor]
    client.processor = on_processor
    online, offline, pinned = client.rank(
        {"model": "acme/four"},
        {"model": "acme/four", "offline": True},
        {"model": "acme/four", "revision": commit},
    )
    for outcome in (online, offline, pinned):
        assert order(outcome) == BEST
        assert (outcome["status"], outcome["precision"]) == ("complete", expected[0])
    weights = sorted(f"{each}.onnx" for each in expected)
    assert hub.fetched("acme/four") == sorted([*NEEDED - {"model.onnx"}, "card.json", *weights])
    # What this processor can't run isn't looked for, in the cache or elsewhere.
    if on_processor == "unknown":
        (refused,) = client.rank({"model": "acme/four", "precision": "int8"})
        assert refused["error"] == "BackendUnavailableError"
        assert "lacks the instructions" in refused["message"]
        assert refused["network"] == []


@ON
def test_the_command_line_follows_the_same_plan(
    hub: hub_server.Hub,
    client: Client,
    four: dict[str, bytes],
    on_processor: str,
    tmp_path: Path,
) -> None:
    hub.commit("acme/four", four)
    expected = RUNS[on_processor]
    client.processor = on_processor
    pulled = client.resift("models", "pull", "acme/four")
    assert (pulled.returncode, pulled.stderr) == (0, "")
    (shown,) = json.loads(client.resift("models", "show", "acme/four").stdout)["cached"]
    files = [run["file"] for run in shown["runs"] if run["backend"] == "onnx"]
    assert files == [f"{each}.onnx" for each in expected]
    assert shown["runs"][0] == {
        "backend": "onnx",
        "precision": expected[0],
        "file": f"{expected[0]}.onnx",
    }

    out = tmp_path / "bundle"
    bundled = client.resift("models", "bundle", "acme/four", str(out), "--offline")
    assert (bundled.returncode, bundled.stderr) == (0, "")
    assert {path.name for path in out.glob("*.onnx")} == {f"{each}.onnx" for each in expected}
    # Carried to any processor, it runs what it has.
    for name, there in PROCESSORS.items():
        client.processor = name
        (outcome,) = client.rank({"model": str(out), "offline": True})
        lacks = there.lacking("onnx", expected[0])
        assert outcome["precision"] == ("fp32" if lacks else expected[0])


def test_a_cache_from_another_processor_is_completed(
    hub: hub_server.Hub, client: Client, four: dict[str, bytes]
) -> None:
    commit = hub.commit("acme/four", four)
    client.processor = "unknown"
    assert client.rank({"model": "acme/four"})[0]["precision"] == "fp32"
    client.processor = "avx512"
    hub.requests.clear()
    # Without a network it makes do with what is there, with one it gets what is better.
    (offline,) = client.rank({"model": "acme/four", "offline": True})
    assert (offline["precision"], hub.requests) == ("fp32", [])
    (pinned,) = client.rank({"model": "acme/four", "revision": commit})
    assert pinned["precision"] == "int8"
    assert hub.fetched("acme/four") == ["int8.onnx"]
