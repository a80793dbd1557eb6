"""The documentation site: it builds without a warning, and needs no other host."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from public import PUBLIC

ROOT = Path(__file__).parents[1]
# What a browser fetches by itself, and where its address stands.
FETCHED = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src"}


class Read(HTMLParser):
    """The addresses that a page has a browser fetch, and the anchors of its sections."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.headings: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.fetched += filter(None, [found.get(FETCHED.get(tag, ""))])
        if tag == "h2":
            self.headings += filter(None, [found.get("id")])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    # mkdocstrings writes to formatters in the locale's encoding.
    mkdocs = [sys.executable, "-X", "utf8", "-m", "mkdocs"]
    done = subprocess.run(
        [*mkdocs, "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=300,
    )
    assert done.returncode == 0, done.stdout
    return folder


def test_pages_fetch_nothing_from_other_hosts(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        fetched = Read(page).fetched
        assert any(address.endswith(".css") for address in fetched), page
        assert [each for each in fetched if "//" in each.partition("?")[0]] == [], page
    for style in site.rglob("*.css"):
        content = style.read_text(encoding="utf-8")
        assert "url(http" not in content, style
        assert "url(//" not in content, style
        assert "@import" not in content, style


def test_the_reference_has_what_is_public_and_nothing_else(site: Path) -> None:
    assert sorted(each.name for each in (site / "reference").iterdir()) == sorted(PUBLIC)
    for module, names in PUBLIC.items():
        headings = Read(site / "reference" / module / "index.html").headings
        assert sorted(headings) == sorted(f"{module}.{name}" for name in names)
