"""Texts and queries for the rows."""

from __future__ import annotations

from hypothesis import strategies as st

QUERY = "how do I sort a dictionary by value"
"""What is asked."""
TEXTS = (
    "Use sorted with a key function that reads the second item to sort a dictionary by value.",
    "The Danube is the second-longest river in Europe, after the Volga.",
    "Dictionaries keep insertion order; build a new one from sorted items.",
    "A list can be sorted in place with its sort method.",
    "Bread rises because yeast turns sugar into carbon dioxide.",
    "Counter.most_common returns keys with their counts, largest first.",
    "dict.items() gives pairs of keys and values.",
    "The museum is closed on Mondays.",
)
"""Documents, the first of which answers ``QUERY`` best."""
HOSTILE_TEXTS = (
    "",
    " \t\r\n",
    "nul \x00 and bell \x07 and escape \x1b[31m",
    "lone surrogates \ud800 and \udfff",
    "emoji 👩🏽‍💻 🇪🇺 and a flag",
    "مرحبا بالعالم — שלום עולם",
    "[CLS] [SEP] [PAD] </s> <s>",
    "\u202eright-to-left override\u202c",
    "\ufeff\u200b\u2060",
    "a" * 100_000,
)
"""Documents that have to be ranked without harm."""

# A word list, so that hypothesis makes texts that models score differently.
_WORDS = ("sort", "dictionary", "value", "river", "bread", "key", "list", "the", "order", "museum")
texts_strategy = st.lists(
    st.lists(st.sampled_from(_WORDS), max_size=12).map(" ".join), min_size=1, max_size=12
)
"""Lists of 1 to 12 documents, each of 0 to 12 words."""
