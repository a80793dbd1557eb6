"""Keys and credentials of a configuration, which are never shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from server.config.text import FAR, A, Read

from resift import InvalidRequestError
from resift.server.recipes import OfModel, OfServer

SECRET = "sk-6b1f0b2d"


def test_a_key_comes_from_elsewhere(
    read: Read, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THEIR_KEY", SECRET)
    (tmp_path / "key").write_text(f"{SECRET}\n", encoding="utf-8")
    for line in ('key_env = "THEIR_KEY"', f"key_file = '{tmp_path / 'key'}'"):
        config = read(f"{FAR}protocol = 'tei'\n{line}\n")
        (entry,) = config.models
        assert isinstance(entry.recipe, OfServer)
        assert entry.recipe.key == SECRET
        assert SECRET not in repr(config)
    for line in ('token_env = "THEIR_KEY"', f"token_file = '{tmp_path / 'key'}'"):
        config = read(A + line)
        (entry,) = config.models
        assert isinstance(entry.recipe, OfModel)
        assert entry.recipe.options.token == SECRET
        assert SECRET not in repr(config)


@pytest.mark.parametrize(
    "line",
    [
        f'key = "{SECRET}"',
        f'key_env = "{SECRET}"',
        f'key_file = "{SECRET}"',
        f'key_env = ["{SECRET}"]',
        'key_env = "MISSING_KEY"',
        'key_env = "EMPTY_KEY"',
        'key_file = "missing"',
        'key_env = "BROKEN_KEY"',
        'key_env = "THEIR_KEY"\nkey_file = "key"',
    ],
)
def test_a_wrong_key_is_never_shown(read: Read, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISSING_KEY", raising=False)
    monkeypatch.setenv("EMPTY_KEY", " ")
    monkeypatch.setenv("BROKEN_KEY", f"{SECRET} {SECRET}")
    monkeypatch.setenv("THEIR_KEY", SECRET)
    with pytest.raises(InvalidRequestError) as caught:
        read(f"{FAR}protocol = 'tei'\n{line}\n")
    last = 3 + len(line.splitlines())
    assert re.search(r"toml:(\d+): .*key", str(caught.value))
    assert f":{last}: " in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_token_of_the_hub_is_never_shown(read: Read) -> None:
    for line in (f'token = "{SECRET}"', f'token_env = "{SECRET}"'):
        with pytest.raises(InvalidRequestError, match="token_env") as caught:
            read(A + line)
        assert SECRET not in str(caught.value)


def test_what_else_is_sent_is_never_shown(read: Read) -> None:
    config = read(f"{FAR}protocol = 'tei'\nextra = {{ api_key = '{SECRET}' }}\n")
    assert SECRET not in repr(config)


def test_credentials_of_an_address_are_never_shown(read: Read) -> None:
    with pytest.raises(InvalidRequestError, match="no credentials") as caught:
        read(f"[models.a]\nremote = 'https://me:{SECRET}@host'\nprotocol = 'tei'\n")
    assert SECRET not in str(caught.value)
