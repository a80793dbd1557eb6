"""A hub at its worst: cut off, hanging, refusing, asked by many at once."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from http import HTTPStatus
from pathlib import Path

import hub_server
import onnx
import pytest
import tiny_models
from hub.tiny import snapshot
from hub_client import BEST, NEEDED, Client, order

PULL = (
    "import sys; from resift.cli.main import main; sys.exit(main(['models', 'pull', 'acme/tiny']))"
)


def test_a_cut_or_hanging_connection_raises(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    graph = onnx.load_from_string(files["model.onnx"])
    # The client writes ten megabytes at a time, and goes on from there.
    graph.doc_string = "x" * 24_000_000
    hub.commit("acme/tiny", {**files, "model.onnx": graph.SerializeToString()})
    hub.cuts = 1
    hub.hanging = re.compile("/blobs/.*model.onnx")
    # Older clients leave it to their caller to try again.
    *_, outcome = client.rank(*[{"model": "acme/tiny"}] * 3)
    assert order(outcome) == BEST
    assert hub.cuts == hub.hangs == 0
    assert [each.get("range") for path, each in hub.headers if "/blobs/" in path][-1]


def test_a_hub_that_never_answers_times_out(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    hub.commit("acme/tiny", files)
    hub.commit("prithivida/flashrank", {"ms-marco-TinyBERT-L-2-v2.zip": b""})
    hub.hanging, hub.hangs = re.compile("/api/models|/resolve/"), 100
    for outcome in client.rank({"model": "acme/tiny"}, {"model": "ms-marco-TinyBERT-L-2-v2"}):
        assert outcome["error"] == "ModelNotFoundError"
        assert "network" in outcome["message"]


def test_a_download_survives_a_killed_process(
    hub: hub_server.Hub, client: Client, commit: str
) -> None:
    hub.hanging = re.compile("/blobs/")
    process = subprocess.Popen([sys.executable, "-c", PULL], env=client.environment())
    while hub.hangs:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    offline, online = client.rank({"model": "acme/tiny", "offline": True}, {"model": "acme/tiny"})
    assert offline["error"] == "OfflineError"
    assert order(online) == BEST


def test_a_download_survives_a_kill_between_two_files(
    hub: hub_server.Hub, client: Client, tmp_path: Path
) -> None:
    data = "model.onnx_data"
    commit = hub.commit("acme/tiny", tiny_models.split(tmp_path / "tiny", data, data=data))
    options = {"model": "acme/tiny", "revision": commit}
    assert order(client.rank(options)[0]) == BEST
    shutil.rmtree(client.cache / ".resift/records")
    (snapshot(client, commit) / data).unlink()
    offline, online, again = client.rank(
        {**options, "offline": True}, options, {**options, "offline": True}
    )
    assert offline["error"] == "OfflineError"
    assert order(online) == order(again) == BEST


def test_many_processes_download_once(
    hub: hub_server.Hub, client: Client, commit: str, files: dict[str, bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "ms-marco-TinyBERT-L-2-v2"
    folder.mkdir()
    for name in NEEDED:
        (folder / name).write_bytes(files[name])
    packed = shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path, folder.name)
    hub.commit("prithivida/flashrank", {f"{folder.name}.zip": Path(packed).read_bytes()})
    hub.delay = 0.3
    pull = f"from resift.cli.main import main; main(['models', 'pull', '{folder.name}'])\n{PULL}"
    command = [sys.executable, "-c", pull]
    many = [
        subprocess.Popen(command, env=client.environment(), stderr=subprocess.PIPE)
        for _ in range(6)
    ]
    for process in many:
        _, errors = process.communicate(timeout=60)
        # Nothing, not even a progress bar, as it isn't a terminal.
        assert (process.returncode, errors) == (0, b"")
    assert hub.fetched("acme/tiny") == sorted(NEEDED)
    assert hub.fetched("prithivida/flashrank") == [f"{folder.name}.zip"]


@pytest.mark.parametrize("status", [HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY])
def test_the_cache_is_used_while_the_hub_is_busy(
    hub: hub_server.Hub, client: Client, commit: str, status: HTTPStatus
) -> None:
    assert order(client.rank({"model": "acme/tiny"})[0]) == BEST
    hub.broken, hub.status = re.compile(""), status
    (outcome, other) = client.rank({"model": "acme/tiny"}, {"model": "acme/other"})
    assert order(outcome) == BEST
    assert outcome["revision"] == commit
    assert f"using revision {commit} from the cache" in client.errors
    assert other["error"] == "ModelNotFoundError"


def test_a_refusal_of_the_hub_is_raised(hub: hub_server.Hub, client: Client, commit: str) -> None:
    assert order(client.rank({"model": "acme/tiny"})[0]) == BEST
    del hub.repositories["acme/tiny"]
    (outcome,) = client.rank({"model": "acme/tiny"})
    assert outcome["error"] == "ModelNotFoundError"
    assert "acme/tiny" in outcome["message"]


def test_a_file_that_differs_from_the_hubs_sha256_is_refused(
    hub: hub_server.Hub, client: Client, commit: str, files: dict[str, bytes]
) -> None:
    # As many bytes as announced, with another sha256.
    content = bytearray(files["model.onnx"])
    content[-1] ^= 1
    hub.replaced["model.onnx"] = bytes(content)
    (outcome,) = client.rank({"model": "acme/tiny"})
    assert outcome["error"] == "UnsupportedModelError"
    assert "the hub says" in outcome["message"]


def test_tokens_go_to_the_hub_alone(hub: hub_server.Hub, client: Client, commit: str) -> None:
    program = f"import logging; logging.basicConfig(level=0); {PULL}"
    done = client.run("-c", program, HF_TOKEN="hf_secret")
    assert done.returncode == 0, done.stderr
    # An archive is asked for from the hub, too, and sent from elsewhere.
    hub.commit("prithivida/flashrank", {"ms-marco-TinyBERT-L-2-v2.zip": b"no archive"})
    archive = client.run(
        "-c", program.replace("acme/tiny", "ms-marco-TinyBERT-L-2-v2"), HF_TOKEN="hf_secret"
    )
    assert "is not a zip archive" in archive.stderr
    asked = {
        ("blobs" in path, headers.get("authorization"))
        for path, headers in hub.headers
        if "acme" in path or "flashrank" in path
    }
    assert asked == {(False, "Bearer hf_secret"), (True, None)}
    assert [path for path, _ in hub.headers if path.endswith(".zip")]
    hub.broken, hub.status = re.compile(""), HTTPStatus.FORBIDDEN
    refused = client.run("-c", program, HF_TOKEN="hf_secret")
    assert refused.returncode == 3
    for each in (done, archive, refused):
        assert "hf_secret" not in each.stdout + each.stderr
