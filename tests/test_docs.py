"""The pages as a reader would use them: every example runs, every link leads somewhere.

The ``python`` blocks of a page are one program, run in a fresh process. A ``text`` block right
after one is what it prints; ``console`` blocks are commands of ``resift`` and what they print; in
both, ``...`` stands for anything. Blocks without a language are pictures.
"""

from __future__ import annotations

import inspect
import os
import re
import shlex
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from itertools import chain, takewhile
from pathlib import Path
from typing import get_type_hints

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token
from packages import EXAMPLE, install_example
from printed import is_printed

from resift import Reranker, RerankerOptions
from resift.cli.main import _parser

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "RELEASE.md",
    ROOT / "SECURITY.md",
    ROOT / "changelog.d/README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted(ROOT.glob("integrations/*/README.md")),
    *sorted(ROOT.glob("src/resift/bundled/*/README.md")),
    *sorted(ROOT.glob("models/*/README.md")),
    *sorted(ROOT.glob("training/README.md")),
    ROOT / "examples/README.md",
    *sorted(ROOT.glob("examples/*/README.md")),
]
PROJECTS = [
    ROOT / "pyproject.toml",
    *sorted(ROOT.glob("integrations/*/pyproject.toml")),
    *sorted(ROOT.glob("models/*/pyproject.toml")),
]

_END = "<end of block>"
_RESIFT = "import sys; from resift.cli.main import main; sys.exit(main())"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the line of its fence, and its text."""

    language: str
    line: int
    text: str


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


each_page = pytest.mark.parametrize("page", PAGES, ids=name)


@cache
def tokens(page: Path) -> list[Token]:
    flat = []
    for token in MarkdownIt().enable("table").parse(page.read_text(encoding="utf-8")):
        flat += [token, *(token.children or ())]
    return flat


def blocks(page: Path) -> list[Block]:
    return [
        Block(token.info, token.map[0] + 1, token.content)
        for token in tokens(page)
        if token.type == "fence" and token.map
    ]


def expect(page: Path, block: Block, wanted: str, printed: str) -> None:
    if not is_printed(wanted, printed):
        pytest.fail(f"{name(page)}:{block.line}: expected\n{wanted}\ngot\n{printed}")


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONUTF8": "1", **environment},
        capture_output=True,
        encoding="utf-8",
        timeout=180,
    )


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(b.language == "python" for b in blocks(page))], ids=name
)
def test_examples_run(page: Path, tmp_path: Path) -> None:
    examples: list[tuple[Block, Block | None]] = []
    previous = None
    for block in blocks(page):
        if block.language == "python":
            examples.append((block, None))
        elif block.language == "text":
            assert previous, f"{name(page)}:{block.line}: the output of what?"
            assert previous.language == "python", f"{name(page)}:{block.line}: the output of what?"
            examples[-1] = (previous, block)
        previous = block

    # The page itself, all but its examples blank, so that a traceback names the page's lines.
    lines = [""] * len(page.read_text(encoding="utf-8").splitlines())
    for example, _ in examples:
        code = example.text.splitlines()
        lines[example.line : example.line + len(code)] = code
        lines[example.line + len(code)] = f"print({_END!r})"
    if page.stem == "ray":
        pytest.importorskip("ray")
    # Under a name that no package has.
    program = tmp_path / f"{page.stem}_page.py"
    program.write_text("\n".join(lines), encoding="utf-8")
    environment = {}
    if page.parent == EXAMPLE:
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(install_example(tmp_path / "installed")), os.environ["PYTHONPATH"]]
        )
    done = run(tmp_path, str(program), **environment)
    assert done.returncode == 0, done.stderr
    printed = done.stdout.split(f"{_END}\n")
    for (_, output), got in zip(examples, printed, strict=False):
        if output:
            expect(page, output, output.text, got)


@each_page
def test_commands_print_what_is_shown(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.language != "console":
            continue
        assert block.text.startswith("$ "), f"{name(page)}:{block.line}: a command begins with $"
        for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
            command, _, wanted = part.partition("\n")
            program, *arguments = shlex.split(command)
            assert program == "resift", f"{name(page)}:{block.line}: not a command of resift"
            done = run(tmp_path, "-c", _RESIFT, *arguments)
            expect(page, block, wanted, done.stdout + done.stderr)


@each_page
def test_other_commands_exist(page: Path) -> None:
    """Check commands that can't be run here by their files and subcommands."""
    for block in blocks(page):
        if block.language not in ("bash", "sh", "dockerfile"):
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            program, *words = shlex.split(line.removeprefix("RUN "), comments=True) or [""]
            if program == "resift":
                _parser().parse_args(words)
            if program == "python" and words[0] == "dev.py":
                # After "--" even --help would go to pytest, and run the command.
                command = list(takewhile(lambda word: word != "--", words[1:]))
                assert run(ROOT, "dev.py", *command, "--help").returncode == 0, line
            paths = [word.partition("[")[0] for word in words if word.startswith(".")]
            assert all((ROOT / path).exists() for path in paths), line


@each_page
def test_every_block_is_run_or_known(page: Path) -> None:
    known = {"python", "text", "console", "bash", "sh", "dockerfile", "json", "toml", ""}
    assert {block.language for block in blocks(page)} <= known


@each_page
def test_links_lead_somewhere(page: Path) -> None:
    for token in tokens(page):
        target = str(token.attrs.get("href", ""))
        if token.type != "link_open" or re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


@cache
def anchors(page: Path) -> set[str]:
    """The anchors that GitHub makes from headings."""
    found, in_heading = set(), False
    for token in tokens(page):
        if token.type == "inline" and in_heading:
            text = re.sub(r"[^\w\- ]", "", token.content.lower())
            found.add(text.replace(" ", "-"))
        in_heading = token.type == "heading_open"
    return found


def test_every_page_is_linked() -> None:
    linked = {
        (page.parent / str(token.attrs["href"]).partition("#")[0]).resolve()
        for page in PAGES
        for token in tokens(page)
        if token.type == "link_open"
    }
    assert {page for page in PAGES if page.parent.name == "docs"} <= linked


def test_every_option_is_described() -> None:
    page = (ROOT / "docs/contract.md").read_text(encoding="utf-8")
    options = {*inspect.signature(Reranker).parameters, *get_type_hints(RerankerOptions)}
    assert [option for option in sorted(options) if f"| `{option}` |" not in page] == []
    others = {"top_n", "top_k", "metadata_fields", "metadata_mode", "reranker="}
    assert [option for option in sorted(others) if f"`{option}" not in page] == []


@pytest.mark.parametrize("project", PROJECTS, ids=name)
def test_every_dependency_is_justified(project: Path) -> None:
    content = tomllib.loads(project.read_text(encoding="utf-8"))
    requirements = [
        *content["build-system"]["requires"],
        *content["project"].get("dependencies", ()),
        *chain(*content["project"].get("optional-dependencies", {}).values()),
        *(
            each
            for each in chain(*content.get("dependency-groups", {}).values())
            if isinstance(each, str)
        ),
    ]
    page = (ROOT / "docs/dependencies.md").read_text(encoding="utf-8")
    packages = {re.split(r"[^\w.-]", requirement)[0] for requirement in requirements}
    assert [package for package in sorted(packages) if f"| `{package}` | " not in page] == []


def test_the_tree_of_errors_equals_the_codes() -> None:
    import resift.errors

    page = (ROOT / "docs/contract.md").read_text(encoding="utf-8")
    assert resift.errors.__doc__ is not None
    tree = [line.strip() for line in resift.errors.__doc__.splitlines() if "─" in line]
    assert len(tree) >= 8
    assert [line for line in tree if line not in page] == []
