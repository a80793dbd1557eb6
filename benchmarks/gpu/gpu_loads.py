"""Queries with documents of given lengths in tokens: what the systems are asked to rank."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random

from random_models import PROMPTS, WORDS
from shapes import Shape

MAX_LENGTH = 512
"""Tokens of a pair, a decoder's prompt included: no load is cut by anybody."""
LENGTHS = {"mixed": (20, 500), "512": (MAX_LENGTH, MAX_LENGTH), "256": (256, 256)}
"""By name, the shortest and the longest pair in tokens."""
_QUERY_WORDS = 12

Count = Callable[[str, str], int]
"""The tokens of a query and a document, with all that the model puts around them."""


@dataclass(frozen=True)
class Load:
    """One query and its documents."""

    query: str
    documents: tuple[str, ...]
    lengths: tuple[int, ...]
    """Tokens of each pair."""

    def first(self, count: int) -> Load:
        """Its first documents alone."""
        return Load(self.query, self.documents[:count], self.lengths[:count])


def make_load(count: Count, kind: str, pairs: int, seed: int) -> Load:
    """A load of ``pairs`` documents, the same for the same ``seed``.

    Where the prompt and the query alone are longer than a length that was drawn, the document has
    one word.
    """
    random = Random(f"{kind} {pairs} {seed}")
    query = " ".join(random.choices(WORDS, k=_QUERY_WORDS))
    # What a word adds wherever it comes, but for the first place.
    more = {word: count("", f"{word} {word}") - count("", word) for word in WORDS}
    shortest, longest = LENGTHS[kind]
    documents = [
        _words(count, more, query, random.randint(shortest, longest), random) for _ in range(pairs)
    ]
    return Load(query, tuple(documents), tuple(count(query, each) for each in documents))


def _words(count: Count, more: Mapping[str, int], query: str, length: int, random: Random) -> str:
    """Words of at most ``length`` tokens with the query, as near to it as words come."""
    words = [random.choice(WORDS)]
    found = count(query, words[0])
    while True:
        word = random.choice(WORDS)
        found += more[word]
        if found > length:
            return " ".join(words)
        words.append(word)


def counter(shape: Shape, folder: Path) -> Count:
    """Counts tokens with the tokenizer in ``folder``."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()

    @lru_cache(maxsize=20_000)
    def size(text: str) -> int:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)

    prompt = PROMPTS.get(shape.kind)
    if prompt is None:
        around = tokenizer.num_special_tokens_to_add(is_pair=True)
        return lambda query, document: around + size(query) + size(document)
    pieces = (*prompt.before, *prompt.between, *prompt.label, *prompt.after)
    around = sum(map(size, pieces))
    return lambda query, document: (
        around + size(prompt.query.format(query)) + size(prompt.document.format(document))
    )
