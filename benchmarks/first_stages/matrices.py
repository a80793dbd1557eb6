"""Every query with every document of a collection, by encoders that each text goes through once.

A document is cut where it would be with an empty query, so that one encoding serves all queries.
`Matrices.short` says which documents that changes nothing for, whatever the query.
"""

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from collection import Collection
from made import WINDOW, by_text
from resift.text.tokenizer import PairTokenizer

Floats = NDArray[np.float32]
Ids = NDArray[np.int32]
Pooling = Literal["mean", "cls"]

log = logging.getLogger("matrices")


@dataclass(frozen=True)
class Matrices:
    """Rows are the collection's queries, columns its documents, both in its order.

    pooled: cosines of the vectors that stand for a whole text, as the encoder pools.
    cosine, match: the two terms of late interaction, as in `by_text.Parts`.
    short: bool `[documents]`, those that no query's length cuts.
    """

    pooled: Floats
    cosine: Floats
    match: Floats
    short: NDArray[np.bool_]


class QueryVectors:
    """All queries' vectors, for one document at a time."""

    def __init__(
        self, ids: Sequence[Ids], encode: Callable[[Ids], Floats], worth: Floats | None
    ) -> None:
        encoded = [encode(each) for each in ids]
        self.means = by_text.unit(np.stack([vectors.mean(axis=0) for vectors in encoded]))
        self.firsts = by_text.unit(np.stack([vectors[0] for vectors in encoded]))
        self._tokens = by_text.unit(np.concatenate([vectors[1:-1] for vectors in encoded]))
        self._query = np.repeat(np.arange(len(ids)), [len(each) for each in ids])
        self._weight = np.concatenate([by_text.weights(each, worth) for each in ids])

    def match(self, document: Floats) -> Floats:
        """The second term of late interaction with a document's vectors, `[queries]`."""
        best = (self._tokens @ by_text.unit(document).T).max(axis=1)
        summed = np.bincount(self._query, best * self._weight, minlength=len(self.means))
        return np.asarray(summed, np.float32)


def compute(
    collection: Collection,
    tokenizer: PairTokenizer,
    encode: Callable[[Ids], Floats],
    *,
    pooling: Pooling,
    worth: Floats | None = None,
) -> Matrices:
    """Encode all texts; `encode` and `worth` are what `by_text.score` takes."""
    ids = [_cut(tokenizer, text, ())[0] for text in collection.queries.values()]
    documents = _cut(tokenizer, "", list(collection.documents.values()))[1]
    queries = QueryVectors(ids, encode, worth)
    shape = (len(documents), len(ids))
    pooled, cosine, match = (np.empty(shape, np.float32) for _ in range(3))
    for row, document in enumerate(documents):
        vectors = encode(document)
        cosine[row] = queries.means @ by_text.unit(vectors.mean(axis=0))
        pooled[row] = (
            cosine[row] if pooling == "mean" else queries.firsts @ by_text.unit(vectors[0])
        )
        match[row] = queries.match(vectors)
    # Without room for a token of each text: the template's special tokens.
    room = WINDOW - (tokenizer.min_length - 2) - max(map(len, ids))
    short = np.array([len(document) <= room for document in documents])
    return Matrices(pooled.T, cosine.T, match.T, short)


def _cut(tokenizer: PairTokenizer, query: str, texts: Sequence[str]) -> tuple[Ids, list[Ids]]:
    request = tokenizer.tokenize(query, texts, max_length=WINDOW, long_documents="truncate")
    return request.query, [text.windows[0] for text in request.texts]


def kept(path: Path, make: Callable[[], Matrices]) -> Matrices:
    """What an earlier run left at `path`, or what `make` gives, left there."""
    if not path.exists():
        log.info("%s", path.name)
        path.parent.mkdir(parents=True, exist_ok=True)
        made = make()
        unfinished = path.with_suffix(".tmp.npz")
        np.savez(unfinished, **vars(made))
        unfinished.rename(path)
    with np.load(path) as found:
        return Matrices(**{name: found[name] for name in found.files})


def digest(*parts: str) -> str:
    """Of all that a file's content depends on."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]
