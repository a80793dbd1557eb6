"""What each first stage finds for each query, and the logits of it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from collection import Collection
from encoders import PUBLISHED, SHIPPED, Model
from made import by_text, stages
from matrices import Floats, digest

DEPTH, FOUND = 50, 100
BM25 = "BM25"

# Places of documents in the collection, best first, by query.
Lists = dict[str, list[int]]


def first_stages(collection: Collection, pooled: Mapping[str, Floats]) -> dict[str, Lists]:
    """The first `DEPTH` of each first stage by its name.

    pooled: cosines of the whole texts' vectors, `[queries, documents]`, by encoder.
    """
    at = {document: place for place, document in enumerate(collection.documents)}
    words = {
        query: [at[document] for document in collection.candidates(query)[:FOUND]]
        for query in collection.queries
    }
    found = {BM25: {query: listed[:DEPTH] for query, listed in words.items()}}
    similar = {
        name: {
            query: stages.best(row, FOUND)
            for query, row in zip(collection.queries, scores, strict=True)
        }
        for name, scores in pooled.items()
    }
    for name, lists in similar.items():
        found[PUBLISHED[name]] = {query: listed[:DEPTH] for query, listed in lists.items()}
    for name, lists in similar.items():
        found[f"{BM25} + {PUBLISHED[name]}"] = {
            query: stages.fused([words[query], listed], DEPTH) for query, listed in lists.items()
        }
    return found


class Logits:
    """A model's logits of any query of a collection with any document."""

    def __init__(self, model: Model, collection: Collection, data: Path) -> None:
        matrices, self._formula = model.matrices(collection), model.formula(data)
        self._logits = self._formula.logits(matrices.cosine, matrices.match)
        self._short = matrices.short
        self._model, self._collection = model, collection
        self._row = {query: row for row, query in enumerate(collection.queries)}

    def cut_as_pairs(self, lists: Sequence[Lists], cache: Path) -> None:
        """Make the logits of long documents in `lists` those of the engine.

        That cuts a document to what the query leaves of the window; the matrices leave as much to
        all queries. Only for `SHIPPED` models, whose figures are to be the engine's.
        """
        if self._model.name not in SHIPPED:
            return
        names = list(self._collection.documents)
        wanted = {
            query: sorted({n for each in lists for n in each[query] if not self._short[n]})
            for query in self._row
        }
        key = digest(self._collection.sha256, json.dumps(wanted), self._model.key)
        path = cache / "cut" / f"{self._collection.name}.{self._model.name}.{key}.json"
        if not path.exists():
            texts = {
                query: (
                    self._collection.queries[query],
                    [self._collection.documents[names[n]] for n in found],
                )
                for query, found in wanted.items()
            }
            listed = by_text.tokenize(self._model.tokenizer, texts)
            parts = by_text.score(self._model.encode, listed, self._model.worth)
            scores = {
                query: self._formula.logits(each.cosine, each.match).tolist()
                for query, each in parts.items()
            }
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(scores), encoding="utf-8")
        for query, values in json.loads(path.read_text(encoding="utf-8")).items():
            self._logits[self._row[query], wanted[query]] = values

    def of(self, query: str, documents: Sequence[int]) -> Floats:
        """Float32 `[documents]`."""
        return np.asarray(self._logits[self._row[query], list(documents)])
