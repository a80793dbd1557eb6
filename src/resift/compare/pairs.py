"""The fixed pairs of queries and documents that a comparison asks for.

All texts were written for this. Lengths are counted in words, so that they belong to no tokenizer.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """One request: a query and the documents to score for it."""

    name: str
    query: str
    documents: tuple[str, ...]
    top_n: int | None = None
    plain: bool = False
    """Whether to ask as clients do that know no word for logits."""


SORTING = "how do I sort a dictionary by its values in Python?"
ANSWER = "To sort a dictionary by its values in Python, call sorted on its items with a key."
OTHER = "The harbour master counts the boats twice a day, and paints a number on every bow."

_SORTING_DOCUMENTS = (
    "The ferry to the island leaves at nine, and again when the tide allows it.",
    "In Python, sort a dictionary by value with sorted(d.items(), key=lambda pair: pair[1]).",
    "Dictionaries keep the order in which their keys were inserted.",
    "Bake the bread until its crust is brown and it sounds hollow.",
    "A list is sorted in place by its sort method, which takes a key function too.",
    "Um ein Wörterbuch nach Werten zu sortieren, gibt man sorted eine Schlüsselfunktion.",
    "Pour trier un dictionnaire par valeur, on passe une fonction de clé à sorted.",
    "def by_value(d):\n    return dict(sorted(d.items(), key=lambda pair: pair[1]))",
    "Our dictionary of dialects explains four thousand words of the northern valleys.",
    "Sorting the values of a mapping needs a key; the default compares the keys.",
    "The python is a snake that doesn't poison its prey.",
    "An ordered mapping can be made by sorting the pairs of another one.",
    "Use a heap where only the few largest values of a dictionary are wanted.",
    "Das Museum ist montags geschlossen, an Feiertagen aber geöffnet.",
    "How do I sort a dictionary by its values in Python? Nobody has answered yet.",
    "for key in sorted(d, key=d.get, reverse=True):\n    print(key, d[key])",
)

FROST = "how can young fruit trees be protected from late frost?"
_FROST_DOCUMENTS = (
    "Cover young fruit trees with fleece at dusk, and take it off when the sun has warmed them.",
    "Junge Obstbäume schützt man vor Spätfrost mit einem Vlies über der Krone.",
    "Les jeunes arbres fruitiers se protègent du gel tardif par un voile.",
    "Water holds warmth: moist soil below a tree loses less heat in a clear night.",
    "Frost on a windscreen is scraped off more easily with the engine cold.",
    "Apples are picked when the stalk parts from the twig at a turn of the hand.",
    "Small candles between the rows keep the blossom above freezing point.",
    "A tree in code has a root, nodes and leaves, and no bark.",
    "class Tree:\n    def __init__(self):\n        self.children = []",
    "The committee put the meeting about the new car park off until spring.",
)

_MANY = tuple(
    f"{thing} {verb} {place}."
    for thing in ("A key function", "The sorted list", "A grey heron", "Her dictionary", "The tram")
    for verb, place in (
        ("decides the order", "of the values"),
        ("stands", "beside the river"),
        ("is sold", "for little money"),
        ("waits", "behind the station"),
        ("was changed", "by a short function"),
    )
)[:24]

EMPTY = ""
_COMPOSED, _DECOMPOSED = (
    "Sortiert wird über Schlüssel: ä, ö, é.",
    ("Sortiert wird u\u0308ber Schlu\u0308ssel: a\u0308, o\u0308, e\u0301."),
)
_ODD = (
    _SORTING_DOCUMENTS[1],
    EMPTY,
    _COMPOSED,
    _DECOMPOSED,
    "🐍 sorted(📖) 👩‍💻 ✅",
    "按值对字典进行排序。",
    "値で辞書を並べ替えるには、sorted にキー関数を渡します。",
    _SORTING_DOCUMENTS[8],
    _SORTING_DOCUMENTS[1],
)
ODD_NAMES = (
    "a document",
    "an empty document",
    "composed letters",
    "decomposed letters",
    "emoji",
    "Chinese",
    "Japanese",
    "another document",
    "the same document again",
)
"""The name of each document of the probe ``odd``."""

_FILLER = (
    "In the morning the baker carries the flour across the yard while the cat sleeps on the wall. "
    "At noon a cart brings apples from the hill and takes the empty baskets back again. "
    "Later the children come home along the brook and throw small stones into the water. "
    "Toward evening the lamps are lit one after the other and the shutters of the shops fall. "
)

LENGTHS = (40, 80, 160, 320, 640, 1280)
"""Words before the end of a document that says what is asked for, or something else."""


def filler(words: int) -> str:
    """A text of so many words, about nothing that is asked for."""
    known = _FILLER.split()
    return " ".join((known * (words // len(known) + 1))[:words])


def at_end(words: int) -> tuple[str, str]:
    """Two documents of so many equal words that differ in what follows."""
    return f"{filler(words)} {ANSWER}", f"{filler(words)} {OTHER}"


def at_start(words: int) -> tuple[str, str]:
    """Two documents that differ in their first sentence, before so many equal words."""
    return f"{ANSWER} {filler(words)}", f"{OTHER} {filler(words)}"


def in_middle(words: int) -> tuple[str, str]:
    """Two documents that differ in a sentence in the middle of so many equal words."""
    half = filler(words // 2)
    return f"{half} {ANSWER} {half}", f"{half} {OTHER} {half}"


LONG_QUERY = 120
"""Words before the question, in a query that is long."""

MAIN = Probe(name="main", query=SORTING, documents=_SORTING_DOCUMENTS)
AGAIN = Probe(name="again", query=SORTING, documents=_SORTING_DOCUMENTS)
PLAIN = Probe(name="plain", query=SORTING, documents=_SORTING_DOCUMENTS, plain=True)
REVERSED = Probe(name="reversed", query=SORTING, documents=_SORTING_DOCUMENTS[::-1])
SECOND = Probe(name="second", query=FROST, documents=_FROST_DOCUMENTS)
ALONE = tuple(
    Probe(name=f"alone {at}", query=SORTING, documents=(_SORTING_DOCUMENTS[at],)) for at in (1, 8)
)
TOP = Probe(name="top", query=SORTING, documents=_SORTING_DOCUMENTS, top_n=3)
MANY = Probe(name="many", query=SORTING, documents=_SORTING_DOCUMENTS + _MANY)
ODD = Probe(name="odd", query=SORTING, documents=_ODD)
NOT_EMPTY = Probe(name="not empty", query=SORTING, documents=tuple(filter(None, _ODD)))
LONG = Probe(
    name="long",
    query=SORTING,
    documents=(
        _SORTING_DOCUMENTS[1],
        *(text for words in LENGTHS for text in at_end(words)),
        *at_start(LENGTHS[-1]),
        *in_middle(LENGTHS[-1]),
    ),
)
UP_TO = tuple(
    Probe(name=f"{words} words", query=SORTING, documents=(_SORTING_DOCUMENTS[1], *at_end(words)))
    for words in LENGTHS
)
"""A short document and two long ones, for a server that doesn't answer ``LONG``."""
LONG_QUERIES = tuple(
    Probe(
        name=f"long query {place}",
        query=f"{filler(LONG_QUERY)} {question}",
        documents=(_SORTING_DOCUMENTS[1], _FROST_DOCUMENTS[0], _SORTING_DOCUMENTS[0]),
    )
    for place, question in enumerate((SORTING, FROST))
)
