"""Hooks of mkdocs: the repository's pages where they are, and one page for each public module."""

from __future__ import annotations

import posixpath
import re
import tomllib
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"(?<=\]\()(?![a-z]+:|#)([^)\s#]+)")


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the reference to the contents."""
    reference = {"Reference": [{name: _reference(name)} for name in config.extra["reference"]]}
    config.nav = [*(config.nav or []), reference]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Name pages by their paths in the repository, from which their links lead."""
    for file in list(files.documentation_pages()):
        files.remove(file)
    directory_urls = config.use_directory_urls
    pages = [
        *(ROOT / f"{name}.md" for name in ("README", "CHANGELOG", "CONTRIBUTING", "RELEASE")),
        ROOT / "SECURITY.md",
        *(ROOT / "docs").glob("*.md"),
        *ROOT.glob("integrations/*/README.md"),
        *ROOT.glob("examples/README.md"),
    ]
    for path in pages:
        uri = path.relative_to(ROOT).as_posix()
        files.append(File(uri, str(ROOT), config.site_dir, directory_urls))
    for file in list(files.media_files()):
        if file.src_uri.startswith("images/"):
            files.remove(file)
            uri = f"docs/{file.src_uri}"
            files.append(File(uri, str(ROOT), config.site_dir, directory_urls))
    for name in config.extra["reference"]:
        content = f"# `{name}`\n\n::: {name}\n"
        files.append(File.generated(config, _reference(name), content=content))
    return files


def on_page_markdown(markdown: str, *, page: Page, files: Files, **_: object) -> str:
    """Lead links to what isn't a page to the repository."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    source = project["urls"]["Source"]

    def elsewhere(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(posixpath.dirname(page.file.src_uri), match[1]))
        if files.get_file_from_path(target) or not (ROOT / target).exists():
            return match[1]
        return f"{source}/{'tree' if (ROOT / target).is_dir() else 'blob'}/main/{target}"

    return LINK.sub(elsewhere, markdown)


def _reference(name: str) -> str:
    return f"reference/{name}.md"
