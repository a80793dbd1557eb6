"""Queries and documents from arguments, files and standard input."""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from resift.errors import InvalidRequestError


def as_text(argument: str) -> str:
    """Decode an argument like a file: bytes that the locale can't decode are UTF-8."""
    try:
        # Python keeps bytes that it couldn't decode as surrogates.
        return (
            os.fsencode(argument).decode() if re.search("[\udc80-\udcff]", argument) else argument
        )
    except UnicodeDecodeError as error:
        raise argparse.ArgumentTypeError(f"expected UTF-8, not {argument!a}") from error


@dataclass(frozen=True, slots=True)
class Given:
    """A query, its documents and their scores."""

    query: str
    documents: list[str]
    scores: list[float | None] | None
    """The first stage's, where any line of JSON has one."""


def read_request(parsed: argparse.Namespace) -> Given:
    """Read the query and the documents of a command line.

    Raises ``InvalidRequestError`` for a missing query and for lines that aren't the JSON expected.
    """
    texts = list(parsed.texts)
    if parsed.query is not None:
        query = parsed.query
    elif parsed.query_file is not None:
        query = _read(parsed.query_file).strip()
    elif texts:
        query = texts.pop(0)
    else:
        raise InvalidRequestError("no query: give one as the first argument, or with --query")
    scores: list[float | None] = [None] * len(texts)
    files = parsed.file if parsed.file or texts else ["-"]
    for name in files:
        for number, line in enumerate(_read(name).split("\n"), start=1):
            if line.strip():
                place = f"{name}:{number}"
                text, score = _parse_json(line, place) if parsed.jsonl else (line, None)
                texts.append(text)
                scores.append(score)
    return Given(query, texts, None if all(each is None for each in scores) else scores)


def _read(name: str) -> str:
    if name != "-":
        return Path(name).read_text(encoding="utf-8")
    # UTF-8 like files, whatever the locale; this must happen before the first read.
    if isinstance(sys.stdin, io.TextIOWrapper) and sys.stdin.encoding.lower() != "utf-8":
        sys.stdin.reconfigure(encoding="utf-8")
    return sys.stdin.read()


def _parse_json(line: str, place: str) -> tuple[str, float | None]:
    try:
        content = json.loads(line)
    except ValueError as error:
        raise InvalidRequestError(f"{place} is not JSON: {error}") from error
    text = content.get("text") if isinstance(content, dict) else content
    if not isinstance(text, str):
        raise InvalidRequestError(
            f'{place} must be a JSON string or an object with a string "text": {line[:80]!r}'
        )
    score = content.get("score") if isinstance(content, dict) else None
    if score is not None and (isinstance(score, bool) or not isinstance(score, (int, float))):
        raise InvalidRequestError(f'{place} has a "score" that isn\'t a number: {score!r:.80}')
    return text, score
