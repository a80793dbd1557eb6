"""A hub and a cache at their worst: cut off, hanging, refusing, altered, asked by many at once."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path

import hub_server
import onnx
import pytest
import tiny_models
from hub_client import BEST, NEEDED, Client, order

PULL = (
    "import sys; from resift.cli.main import main; sys.exit(main(['models', 'pull', 'acme/tiny']))"
)


@pytest.fixture
def commit(hub: hub_server.Hub, files: dict[str, bytes]) -> str:
    return hub.commit("acme/tiny", files)


def snapshot(client: Client, commit: str) -> Path:
    return client.cache / "models--acme--tiny/snapshots" / commit


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


def test_a_commit_in_the_cache_is_used_without_asking_the_hub(
    hub: hub_server.Hub, client: Client, commit: str
) -> None:
    options = {"model": "acme/tiny", "revision": commit}
    assert order(client.rank(options)[0]) == BEST
    hub.requests.clear()
    assert order(client.rank(options)[0]) == BEST
    assert hub.requests == []

    (snapshot(client, commit) / "config.json").unlink()
    (healed,) = client.rank(options)
    assert order(healed) == BEST


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


def test_a_changed_cache_is_refused(
    hub: hub_server.Hub, client: Client, commit: str, tmp_path: Path
) -> None:
    assert order(client.rank({"model": "acme/tiny"})[0]) == BEST
    outside = tmp_path / "outside"
    shutil.copytree(snapshot(client, commit), outside)

    def flip(folder: Path) -> None:
        content = bytearray((folder / "model.onnx").read_bytes())
        content[-1] ^= 1
        (folder / "model.onnx").write_bytes(content)

    def cut(folder: Path) -> None:
        (folder / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes()[:-1])

    def cut_config(folder: Path) -> None:
        (folder / "config.json").write_bytes((folder / "config.json").read_bytes()[:-1])

    def lose(folder: Path) -> None:
        (folder / "model.onnx").unlink()

    def lead_away(folder: Path) -> None:
        (folder / "model.onnx").unlink()
        (folder / "model.onnx").symlink_to(outside / "model.onnx")

    def add(folder: Path) -> None:
        (folder / "card.json").write_text("{}", encoding="utf-8")

    def add_link(folder: Path) -> None:
        (folder / "golden.json").symlink_to((folder / "config.json").readlink())

    def add_folder(folder: Path) -> None:
        (folder / "onnx").symlink_to(outside)

    def lead_all_away(folder: Path) -> None:
        shutil.rmtree(folder)
        folder.symlink_to(outside)

    def lose_all(folder: Path) -> None:
        (folder / "config.json").unlink()

    expected = {
        flip: "model.onnx was altered",
        cut: "tokenizer.json is damaged: it has",
        cut_config: "config.json is damaged: it has",
        lose: "model.onnx is missing",
        lose_all: "config.json is missing",
        lead_all_away: "out of the cache",
        lead_away: "out of the model's folder",
        add: "card.json doesn't belong",
        add_link: "golden.json doesn't belong",
        add_folder: "onnx doesn't belong",
    }
    options = []
    for change in expected:
        cache = tmp_path / change.__name__
        shutil.copytree(client.cache, cache, symlinks=True)
        change(cache / "models--acme--tiny/snapshots" / commit)
        options.append({"model": "acme/tiny", "cache_dir": str(cache), "offline": True})
    for (change, message), outcome in zip(expected.items(), client.rank(*options), strict=True):
        assert message in outcome["message"], change
        assert str(tmp_path / change.__name__) in outcome["message"]
    # Where it can be had, what is missing is got again; what was changed never is.
    online = client.rank(*({**each, "offline": False} for each in options))
    healed = [
        change.__name__
        for change, each in zip(expected, online, strict=True)
        if "message" not in each
    ]
    assert healed == ["lose", "lose_all"]


def test_files_that_other_programs_cached_are_ignored(
    hub: hub_server.Hub, client: Client, commit: str
) -> None:
    assert order(client.rank({"model": "acme/tiny"})[0]) == BEST
    link = snapshot(client, commit) / "vocab.txt"
    link.symlink_to((snapshot(client, commit) / "config.json").readlink())
    (outcome,) = client.rank({"model": "acme/tiny", "offline": True})
    assert order(outcome) == BEST


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


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_cache_that_others_may_write_is_refused(client: Client, commit: str, mode: int) -> None:
    client.cache.mkdir()
    client.cache.chmod(mode)
    (outcome,) = client.rank({"model": "acme/tiny"})
    assert outcome["error"] == "InvalidRequestError"
    assert str(client.cache) in outcome["message"]
    assert "chmod go-w" in outcome["message"]


def test_a_cache_is_made_for_its_user_alone(client: Client, commit: str) -> None:
    assert order(client.rank({"model": "acme/tiny"})[0]) == BEST
    for folder in (client.cache, client.cache / ".resift"):
        assert folder.stat().st_mode & 0o777 == 0o700


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


def test_weights_for_this_machine_are_fetched_alone(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes], tmp_path: Path
) -> None:
    half = tiny_models.build(tmp_path / "half", precision="fp16") / "model_fp16.onnx"
    described = {name: files[name] for name in NEEDED - {"model.onnx"}}
    hub.commit("acme/fp16", {**files, "onnx/model_fp16.onnx": half.read_bytes()})
    hub.commit(
        "acme/int8",
        {
            **described,
            **{f"onnx/{name}.onnx": files["model.onnx"] for name in ("model", "model_quantized")},
        },
    )
    hub.commit("acme/odd", {**described, "onnx/model_quantized.onnx": files["model.onnx"]})
    fp16, int8, odd, none, other = client.rank(
        {"model": "acme/fp16", "precision": "fp16"},
        {"model": "acme/int8", "precision": "int8-dynamic"},
        {"model": "acme/odd", "precision": "int8-dynamic"},
        {"model": "acme/odd"},
        {"model": "acme/int8", "precision": "fp16"},
    )
    assert [each["precision"] for each in (fp16, int8, odd)] == [
        "fp16",
        "int8-dynamic",
        "int8-dynamic",
    ]
    # What overflows in fp16 is computed again in float32.
    assert hub.fetched("acme/fp16") == sorted({*NEEDED, "onnx/model_fp16.onnx"})
    assert hub.fetched("acme/int8") == sorted({*described, "onnx/model_quantized.onnx"})
    for outcome in (none, other):
        assert outcome["error"] == "BackendUnavailableError"
        assert "model_quantized.onnx" in outcome["message"]


def described(precisions: list[str], graph: bytes, **changes: object) -> dict[str, bytes]:
    """A card that lists one graph in these precisions, and the files that it lists."""
    digest = sha256(graph).hexdigest()
    card = {
        "max_length": 16,
        "window": 20,
        "tolerance": 1e-4,
        "artifacts": [
            {"format": "onnx", "precision": each, "file": f"{each}.onnx", "sha256": digest}
            for each in precisions
        ],
        **changes,
    }
    weights = {f"{each}.onnx": graph for each in precisions}
    return {"card.json": json.dumps(card).encode(), **weights}


@pytest.mark.parametrize(
    ("processor", "precision", "fetched"),
    [("avx512", "int8", ["fp32.onnx", "int8.onnx"]), ("unknown", "fp32", ["fp32.onnx"])],
)
def test_a_card_says_which_weights_are_fetched(
    hub: hub_server.Hub,
    client: Client,
    files: dict[str, bytes],
    processor: str,
    precision: str,
    fetched: list[str],
) -> None:
    hub.commit("acme/card", {**files, **described(["int8", "fp32"], files["model.onnx"])})
    client.processor = processor
    (outcome,) = client.rank({"model": "acme/card"})
    assert outcome["precision"] == precision
    folder = client.cache / "models--acme--card/snapshots" / outcome["revision"]
    found = {path.name for path in folder.iterdir()}
    assert found == {*NEEDED, "card.json", *fetched} - {"model.onnx"}


def test_a_model_of_another_kind_is_refused_before_its_weights(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    hub.commit("acme/embedding", {**files, "config.json": b'{"architectures": ["BertModel"]}'})
    (outcome,) = client.rank({"model": "acme/embedding"})
    assert "embedding model" in outcome["message"]
    assert "model.onnx" not in hub.fetched("acme/embedding")


def test_names_of_the_catalogue_are_found(
    hub: hub_server.Hub, client: Client, files: dict[str, bytes]
) -> None:
    hub.commit("BAAI/bge-reranker-base", files)
    by_name, by_repository, unsupported = client.rank(
        {"model": "bge-reranker-base"},
        {"model": "BAAI/bge-reranker-base", "offline": True},
        {"model": "rank_zephyr_7b_v1_full"},
    )
    assert by_name["model"] == "bge-reranker-base"
    assert by_name["results"] == by_repository["results"]
    assert "listwise_llm" in unsupported["message"]
    assert unsupported["network"] == []
