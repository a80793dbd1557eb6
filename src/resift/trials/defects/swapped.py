"""Results that belong to other queries: their words are those of another question."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from resift.trials.collection import sampled
from resift.trials.defects.defect import Defect, share

_MOST = 500
"""Queries that are looked at: each is compared with the results of all others."""
_FIRST = 3
_FEWEST, _SHARE = 3, 0.02
_NONE_OF_IT = 0.25
# Where questions and documents are of different languages, they share names alone.
_SAME_LANGUAGE = 0.2


def of_others(
    queries: Mapping[str, str], results: Mapping[str, Sequence[str]], text: Callable[[str], str]
) -> Defect | None:
    """Queries whose results have hardly any of their words, where another query's have many.

    ``queries``: texts by id; ``results``: ids of documents by query, best first; ``text``: the text
    of a document. Words are weighed by how few of the results have them. The first and the last few
    results count, whichever have more: an order that is turned round is another defect.
    """
    asked = [each for each in queries if len(results.get(each, ())) >= _FIRST]
    asked = sampled(asked, _MOST)
    if len(asked) < 2 * _FEWEST:
        return None
    words = [_words(queries[each]) for each in asked]
    known = set().union(*words)
    own, best = np.zeros(len(asked)), np.zeros(len(asked))
    for end in (slice(None, _FIRST), slice(-_FIRST, None)):
        listed = [[_words(text(name)) & known for name in results[each][end]] for each in asked]
        found = _covered(words, listed)
        own, best = np.maximum(own, found.diagonal()), np.maximum(best, found.max(axis=1))
    wrong = np.flatnonzero((best > _SAME_LANGUAGE) & (own < _NONE_OF_IT * best))
    if len(wrong) < max(_FEWEST, _SHARE * len(asked)):
        return None
    return Defect(
        name="swapped queries",
        where="first stage",
        said=f"{share(len(wrong), len(asked))} queries have results with hardly any of their "
        "words, while the results of another query have many of them",
        advice="See that queries and results are joined by the right ids: an answer may have been "
        "given to somebody else's question",
        evidence={"queries": len(wrong), "examples": [asked[n] for n in wrong[:5]]},
    )


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def _covered(
    queries: Sequence[set[str]], results: Sequence[Sequence[set[str]]]
) -> NDArray[np.float64]:
    """The share of each query's words that each query's results have: ``[queries, queries]``."""
    having: defaultdict[str, Counter[int]] = defaultdict(Counter)
    for place, listed in enumerate(results):
        for words in listed:
            for word in words:
                having[word][place] += 1
    sizes = np.array([len(listed) for listed in results], np.float64)
    covered = np.zeros((len(queries), len(queries)))
    for row, words in zip(covered, queries, strict=True):
        weights = {word: math.log(len(queries) / max(1, len(having[word]))) for word in words}
        for word, weight in weights.items():
            places = list(having[word])
            row[places] += weight * np.array(list(having[word].values())) / sizes[places]
        row /= sum(weights.values()) or 1.0
    return covered
