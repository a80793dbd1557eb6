"""Models in zip archives: unpacked whole or not at all, and nothing outside of their folder."""

from __future__ import annotations

import io
import json
import shutil
import stat
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import hub_server
import pytest
from hub_client import BEST, DOCUMENTS, Client, order

from resift import (
    BackendUnavailableError,
    InvalidRequestError,
    ModelNotFoundError,
    OfflineError,
    Reranker,
    ResiftError,
    UnsupportedModelError,
)
from resift.models.store import zipped
from resift.models.store.zipped import unpack

NAME = "ms-marco-MiniLM-L-12-v2"
GRAPH = "flashrank-MiniLM-L-12-v2_Q.onnx"


def pack(members: Mapping[Any, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


@pytest.fixture
def members(files: dict[str, bytes]) -> dict[str, bytes]:
    """The files that FlashRank expects in its archive: see its ``Ranker._get_tokenizer``."""
    texts = {
        "config.json": files["config.json"].decode(),
        "tokenizer.json": files["tokenizer.json"].decode(),
        "tokenizer_config.json": json.dumps({"model_max_length": 16, "pad_token": "[PAD]"}),
        "special_tokens_map.json": json.dumps({"unk_token": "[UNK]", "cls_token": "[CLS]"}),
    }
    packed = {f"{NAME}/{name}": text.encode() for name, text in texts.items()}
    return {**packed, f"{NAME}/{GRAPH}": files["model.onnx"]}


@pytest.fixture
def serve_flashrank(hub: hub_server.Hub, members: dict[str, bytes]) -> str:
    return hub.commit("prithivida/flashrank", {f"{NAME}.zip": pack(members)})


def test_a_flashrank_model_is_downloaded_and_found_again(
    hub: hub_server.Hub, client: Client, serve_flashrank: str, members: dict[str, bytes]
) -> None:
    online, offline, pinned, other = client.rank(
        {"model": NAME},
        {"model": NAME, "offline": True},
        {"model": NAME, "revision": serve_flashrank},
        {"model": NAME, "revision": "0" * 40},
    )
    assert order(online) == order(offline) == order(pinned) == BEST
    assert online["revision"] == serve_flashrank
    assert offline["network"] == pinned["network"] == []
    assert "holds" in other["message"]
    found = {path.name for path in (client.cache / NAME).iterdir()}
    assert found == {name.partition("/")[2] for name in members}
    assert list((client.cache / ".resift/downloads").iterdir()) == []

    flashrank = pytest.importorskip("flashrank")
    ranker = flashrank.Ranker(model_name=NAME, cache_dir=str(client.cache))
    passages = [{"text": text} for text in DOCUMENTS]
    results = ranker.rerank(flashrank.RerankRequest(query="a", passages=passages))
    assert [each["text"] for each in results] == [DOCUMENTS[i] for i in BEST]
    scores = [each["score"] for each in online["results"]]
    assert [each["score"] for each in results] == pytest.approx(scores, abs=1e-6)


def test_a_killed_download_is_resumed(
    hub: hub_server.Hub, client: Client, serve_flashrank: str, members: dict[str, bytes]
) -> None:
    archive = pack(members)
    hub.commit("prithivida/flashrank", {f"{NAME}.zip": archive})
    downloads = client.cache / ".resift/downloads"
    downloads.mkdir(parents=True)
    for folder in (client.cache, downloads.parent):
        folder.chmod(0o700)
    part = downloads / f"{NAME}-{sha256(archive).hexdigest()}.part"
    part.write_bytes(archive[:100])
    (outcome,) = client.rank({"model": NAME})
    assert order(outcome) == BEST
    assert [each.get("range") for path, each in hub.headers if "/blobs/" in path] == ["bytes=100-"]


def test_a_folder_that_flashrank_filled_is_used(tmp_path: Path, members: dict[str, bytes]) -> None:
    with zipfile.ZipFile(io.BytesIO(pack(members))) as archive:
        archive.extractall(tmp_path)
    reranker = Reranker(NAME, cache_dir=tmp_path, offline=True)
    assert [result.index for result in reranker.rank("a", DOCUMENTS)] == BEST
    assert Reranker(tmp_path / NAME).rank("a", DOCUMENTS)[0].index == BEST[0]
    # Recorded at its first use.
    (tmp_path / NAME / "config.json").write_bytes(b"{}")
    with pytest.raises(UnsupportedModelError, match=r"config\.json is damaged"):
        Reranker(NAME, cache_dir=tmp_path, offline=True).warm_up()


def test_a_link_out_of_the_cache_is_refused(tmp_path: Path, tiny: Path) -> None:
    (tmp_path / NAME).symlink_to(tiny)
    with pytest.raises(UnsupportedModelError, match="out of the cache"):
        Reranker(NAME, cache_dir=tmp_path, offline=True).warm_up()


def test_unsupported_flashrank_models_are_refused(tmp_path: Path) -> None:
    for name in ("rank_zephyr_7b_v1_full", "rank-T5-flan"):
        with pytest.raises(UnsupportedModelError, match=name):
            Reranker(name, cache_dir=tmp_path / "none").warm_up()
    with pytest.raises(OfflineError, match=NAME):
        Reranker(NAME, cache_dir=tmp_path / "none", offline=True).warm_up()
    assert not (tmp_path / "none").exists()


def test_an_archive_is_downloaded_by_its_address(
    hub: hub_server.Hub, tmp_path: Path, members: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    archive = pack(members)
    hub.commit("acme/zips", {"model.zip": archive})
    digest = sha256(archive).hexdigest()
    secret = f"{hub.endpoint}/acme/zips/resolve/main/model.zip?signature=s3cret"
    url = secret.replace("http://", "http://user:s3cret@") + f"#sha256={digest}"
    reranker = Reranker(url, cache_dir=tmp_path)
    ranking = reranker.rank("a", DOCUMENTS)
    assert [result.index for result in ranking] == BEST
    assert ranking.revision == digest[:12]
    hub.requests.clear()
    assert Reranker(url, cache_dir=tmp_path, offline=True).rank("a", DOCUMENTS) is not None
    assert hub.requests == []

    hub.commit("acme/damaged", {"model.zip": archive[:-50]})
    damaged = f"{hub.endpoint}/acme/damaged/resolve/main/model.zip?signature=s3cret"
    damaged += f"#sha256={sha256(archive[:-50]).hexdigest()}"
    wrong = f"{secret}#sha256={'0' * 64}"
    missing = f"{hub.endpoint}/acme/zips/resolve/main/none.zip?signature=s3cret#sha256={digest}"
    cases: list[tuple[str, type[ResiftError], str]] = [
        (secret, InvalidRequestError, "#sha256="),
        (f"{secret}#sha256=123", InvalidRequestError, "64 hexadecimal"),
        (wrong, UnsupportedModelError, f"has the sha256 {digest}; expected 000"),
        (missing, ModelNotFoundError, "none.zip"),
        (damaged, UnsupportedModelError, "not a zip archive"),
    ]
    said = [ranking.model, caplog.text]
    for given, error, message in cases:
        with pytest.raises(error, match=message) as caught:
            Reranker(given, cache_dir=tmp_path / "other").warm_up()
        said.append(str(caught.value))
    assert not [text for text in said if "s3cret" in text]
    # Nothing stays that a later call would go on from.
    assert list((tmp_path / "other/.resift/downloads").iterdir()) == []


def test_an_archive_on_disk_is_unpacked_without_pickles(
    tmp_path: Path, files: dict[str, bytes]
) -> None:
    path = tmp_path / "model.zip"
    path.write_bytes(pack({**files, "weights.pkl": b"code", "__MACOSX/._config.json": b""}))
    ranking = Reranker(path, cache_dir=tmp_path / "cache", offline=True).rank("a", DOCUMENTS)
    assert [result.index for result in ranking] == BEST
    (folder,) = (tmp_path / "cache").glob("file--*")
    unpacked = {path.name for path in folder.rglob("*") if path.is_file()}
    # Loading a pickle runs code: none is written.
    assert not unpacked & {
        "weights.pkl",
        "pytorch_model.bin",
        "openvino_model.bin",
        "._config.json",
    }


def link(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    return member


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        ({"../evil.json": b""}, "evil"),
        ({"model/../../evil.json": b""}, "evil"),
        ({"/evil.json": b""}, "evil"),
        ({"..\\evil.json": b""}, "evil"),
        ({"C:evil.json": b""}, "evil"),
        ({link("evil.json"): b"/etc/passwd"}, "evil"),
        ({"evil.onnx": bytes(100_000_000)}, "would unpack to"),
        ({f"{n}.json": b"" for n in range(1000)}, "1001 files"),
    ],
)
def test_a_hostile_archive_is_refused(
    tmp_path: Path, hostile: dict[Any, bytes], message: str
) -> None:
    path = tmp_path / "folder/model.zip"
    path.parent.mkdir()
    path.write_bytes(pack({"config.json": b"{}", **hostile}))
    with pytest.raises(UnsupportedModelError, match=message):
        Reranker(path, cache_dir=tmp_path / "cache").warm_up()
    assert not list(tmp_path.rglob("*evil*"))
    assert {each.name for each in (tmp_path / "cache").iterdir()} == {".resift"}
    assert list((tmp_path / "cache/.resift/downloads").iterdir()) == []


def test_a_damaged_archive_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    whole = pack(members)
    start = whole.index(GRAPH.encode()) + len(GRAPH) + 20
    damaged = [b"", b"no archive", whole[:-50], whole[:start] + b"damage" + whole[start + 6 :]]
    twice = pack({"config.json": b"{}", "config.jsom": b"[]"})
    damaged.append(twice.replace(b"config.jsom", b"config.json"))
    for number, content in enumerate(damaged):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(content)
        with pytest.raises(UnsupportedModelError, match=rf"{number}\.zip is not a zip archive"):
            Reranker(path, cache_dir=tmp_path / "cache").warm_up()


def test_a_member_with_a_false_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The directory says ten bytes, the member has a thousand.
    content = bytearray(pack({"config.json": b"x" * 1000}))
    for position in range(len(content) - 4):
        if content[position : position + 4] == (1000).to_bytes(4, "little"):
            content[position : position + 4] = (10).to_bytes(4, "little")
    path = tmp_path / "model.zip"
    path.write_bytes(content)
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(UnsupportedModelError):
        unpack(path, folder)
    assert sum(each.stat().st_size for each in folder.iterdir()) <= 10


def test_an_archive_that_would_fill_the_disk_is_refused(
    tmp_path: Path, members: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.zip"
    path.write_bytes(pack(members))
    monkeypatch.setattr(zipped, "_MOST_BYTES", 100)
    with pytest.raises(UnsupportedModelError, match="at most 1000 files, and 100 bytes"):
        Reranker(path, cache_dir=tmp_path / "cache").warm_up()


def test_a_changed_unpacked_model_is_refused(tmp_path: Path, members: dict[str, bytes]) -> None:
    path = tmp_path / "model.zip"
    path.write_bytes(pack(members))
    Reranker(path, cache_dir=tmp_path / "cache").warm_up()
    (folder,) = (tmp_path / "cache").glob("file--*")
    (folder / "golden.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UnsupportedModelError, match=r"golden\.json doesn't belong"):
        Reranker(path, cache_dir=tmp_path / "cache").warm_up()
    shutil.rmtree(folder)
    Reranker(path, cache_dir=tmp_path / "cache").warm_up()


def test_a_precision_that_the_archive_lacks_is_refused(
    tmp_path: Path, members: dict[str, bytes]
) -> None:
    path = tmp_path / "model.zip"
    path.write_bytes(pack(members))
    with pytest.raises(BackendUnavailableError, match="fp16"):
        Reranker(path, cache_dir=tmp_path / "cache", precision="fp16").warm_up()
