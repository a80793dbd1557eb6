"""The page on configurations: its files are read, and it names every key."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from resift import InvalidRequestError
from resift.server import recipes
from resift.server.config import COMMON, Config

PAGE = Path(__file__).parents[3] / "docs/configuration.md"


def test_the_page_shows_files_that_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COHERE_API_KEY", "key")
    path = Path("models.toml")
    tokens = MarkdownIt().parse(PAGE.read_text(encoding="utf-8"))
    blocks = [(each.info, each.content) for each in tokens if each.type == "fence"]
    assert [language for language, _ in blocks] == ["toml", "toml", "", "toml"]
    for (_, text), (following, error) in pairwise([*blocks, ("", "")]):
        path.write_text(text, encoding="utf-8")
        if error and not following:
            with pytest.raises(InvalidRequestError) as caught:
                Config.read(path)
            assert str(caught.value).startswith(error.strip().removesuffix("..."))
        elif text.strip() and not text.startswith("models.toml:"):
            assert len(Config.read(path).models) > 2


def test_the_page_names_every_key() -> None:
    page = PAGE.read_text(encoding="utf-8")
    known = {*recipes.KEYS, *COMMON, "keep", "max_bytes", "folder", "key_env", "key_file"}
    assert [each for each in sorted(known) if f"`{each}`" not in page] == []
