"""A cache of a hub's files: asked first, refused where it was altered, and its user's alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import hub_server
import pytest
from hub.tiny import snapshot
from hub_client import BEST, Client, order


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


def flip(folder: Path, outside: Path) -> None:
    content = bytearray((folder / "model.onnx").read_bytes())
    content[-1] ^= 1
    (folder / "model.onnx").write_bytes(content)


def cut(folder: Path, outside: Path) -> None:
    (folder / "tokenizer.json").write_bytes((folder / "tokenizer.json").read_bytes()[:-1])


def cut_config(folder: Path, outside: Path) -> None:
    (folder / "config.json").write_bytes((folder / "config.json").read_bytes()[:-1])


def lose(folder: Path, outside: Path) -> None:
    (folder / "model.onnx").unlink()


def lead_away(folder: Path, outside: Path) -> None:
    (folder / "model.onnx").unlink()
    (folder / "model.onnx").symlink_to(outside / "model.onnx")


def add(folder: Path, outside: Path) -> None:
    (folder / "card.json").write_text("{}", encoding="utf-8")


def add_link(folder: Path, outside: Path) -> None:
    (folder / "golden.json").symlink_to((folder / "config.json").readlink())


def add_folder(folder: Path, outside: Path) -> None:
    (folder / "onnx").symlink_to(outside)


def lead_all_away(folder: Path, outside: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to(outside)


def lose_all(folder: Path, outside: Path) -> None:
    (folder / "config.json").unlink()


ALTERED: dict[Callable[[Path, Path], None], str] = {
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


def test_a_changed_cache_is_refused(
    hub: hub_server.Hub, client: Client, commit: str, tmp_path: Path
) -> None:
    assert order(client.rank({"model": "acme/tiny"})[0]) == BEST
    outside = tmp_path / "outside"
    shutil.copytree(snapshot(client, commit), outside)
    options = []
    for change in ALTERED:
        cache = tmp_path / change.__name__
        shutil.copytree(client.cache, cache, symlinks=True)
        change(cache / "models--acme--tiny/snapshots" / commit, outside)
        options.append({"model": "acme/tiny", "cache_dir": str(cache), "offline": True})
    for (change, message), outcome in zip(ALTERED.items(), client.rank(*options), strict=True):
        assert message in outcome["message"], change
        assert str(tmp_path / change.__name__) in outcome["message"]
    # Where it can be had, what is missing is got again; what was changed never is.
    online = client.rank(*({**each, "offline": False} for each in options))
    healed = [
        change.__name__
        for change, each in zip(ALTERED, online, strict=True)
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
