"""Short texts: queries of one to four words, and documents as short.

A bundled model is asked for names, titles and openings as well as for questions, and ranks them
too. Each function or class of a package, and each titled passage, gives one of four pairs:

- its name, in words, for its description;
- its description's first sentence for its name;
- the description's first one to three words for the description, which so begins with them;
- a passage's title for the passage.
"""

import ast
import random
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_PASSAGE_CHARACTERS = 1500
# Fewer say too little to be found by.
_LEAST_CHARACTERS = 4
_MOST_WORDS = 4


class Short(NamedTuple):
    """A query and its passage, one of them of at most four words, or three at its beginning."""

    group: str
    query: str
    passage: str


def described(trees: Iterable[tuple[str, ast.Module]]) -> Iterator[Short]:
    """Pairs of names, openings and descriptions, in turns, of what `trees` define."""
    texts = [
        (file, node.name, text)
        for file, tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        and (text := " ".join((ast.get_docstring(node) or "").split())[:_PASSAGE_CHARACTERS])
    ]
    openings = Counter(_opening(text) for _, _, text in texts)
    names = Counter(in_words(name) for _, name, _ in texts)
    for number, (file, name, text) in enumerate(texts):
        words, opening = in_words(name), _opening(text)
        named = names[words] == 1 and 1 <= len(words.split()) <= _MOST_WORDS
        if number % 3 == 0 and named:
            yield Short(file, words, text)
        elif number % 3 == 1 and named:
            yield Short(file, re.split(r"(?<=\.)\s", text, maxsplit=1)[0], words)
        # What others begin with too would have several answers.
        elif number % 3 == 2 and openings[opening] == 1:
            yield Short(file, opening, text)


def titled(lines: Iterable[tuple[str, str]]) -> Iterator[Short]:
    """Titles for passages, from (title, passage), where a title is of one passage alone."""
    known = list(dict.fromkeys(lines))
    counts = Counter(title for title, _ in known)
    for title, passage in known:
        if counts[title] == 1 and len(title.split()) <= _MOST_WORDS:
            yield Short(title, title, passage)


def in_words(name: str) -> str:
    """A name from source code as words in lower case: "read_csvFile" as "read csv file"."""
    return " ".join(_PARTS.findall(name)).lower()


def usable(short: Short) -> bool:
    """Whether both say something, and aren't the same."""
    query, passage = short.query.strip(), short.passage.strip()
    return min(len(query), len(passage)) >= _LEAST_CHARACTERS and query != passage


def _opening(text: str) -> str:
    """The first one to three words, as many as the length of the text says."""
    words = text.split()[: 1 + random.Random(text).randrange(3)]
    return " ".join(words).strip(".,:;()`'\"")
