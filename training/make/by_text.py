"""Late interaction over many lists of candidates: each different text is encoded once.

The formula is that of `late_interaction.py`. Query and document don't see each other in it, so that
a document's vectors serve every query that lists it, as long as it is cut at the same place.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from resift.text.batch import Pair
from resift.text.tokenizer import PairTokenizer
from scoring import WINDOW

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Listed:
    """Token ids of queries, and of the different documents in their lists, cut as in pairs.

    queries: `[tokens]` by query, without special tokens.
    documents: for each different document, as the bytes of its int32 ids without special tokens,
    where it stands: (query, place in its list).
    lengths: documents in each query's list.
    """

    queries: dict[str, NDArray[np.int32]]
    documents: dict[bytes, list[tuple[str, int]]]
    lengths: dict[str, int]


@dataclass(frozen=True)
class Parts:
    """The two terms of the relevance of one query's candidates, float32 `[candidates]` each."""

    cosine: NDArray[np.float32]
    match: NDArray[np.float32]


def tokenize(tokenizer: PairTokenizer, lists: Mapping[str, tuple[str, Sequence[str]]]) -> Listed:
    """`lists` holds the query's text and its candidates' by query."""
    queries: dict[str, NDArray[np.int32]] = {}
    documents: defaultdict[bytes, list[tuple[str, int]]] = defaultdict(list)
    for name, (query, texts) in lists.items():
        request = tokenizer.tokenize(query, texts, max_length=WINDOW, long_documents="truncate")
        queries[name] = request.query
        for place, document in enumerate(request.texts):
            documents[document.windows[0].tobytes()].append((name, place))
    lengths = {name: len(texts) for name, (_, texts) in lists.items()}
    return Listed(queries, dict(documents), lengths)


class Encoder:
    """An ONNX encoder of token vectors, on the CPU, that takes one text at a time.

    One at a time, because activations rounded per tensor would depend on a batch's other texts.
    """

    def __init__(self, graph: Path | bytes, tokenizer: PairTokenizer, *, threads: int) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self._session = onnxruntime.InferenceSession(
            graph if isinstance(graph, bytes) else str(graph),
            options,
            providers=["CPUExecutionProvider"],
        )
        nothing = np.zeros(0, np.int32)
        joined = tokenizer.collate([Pair(nothing, nothing)]).input_ids[0]
        self._first, self._last = joined[0], joined[-1]

    def __call__(self, ids: NDArray[np.int32]) -> Vectors:
        """Float32 `[tokens + 2, hidden]` of a text's `ids` (`[tokens]`, without special tokens)."""
        row = np.array([[self._first, *ids, self._last]], np.int64)
        inputs = {
            "input_ids": row,
            "attention_mask": np.ones_like(row),
            "token_type_ids": np.zeros_like(row),
        }
        (vectors,) = self._session.run(["last_hidden_state"], inputs)
        return np.asarray(vectors[0], np.float32)


def score(
    encoder: Callable[[NDArray[np.int32]], Vectors], listed: Listed, worth: Vectors | None = None
) -> dict[str, Parts]:
    """The candidates' parts by query; `encoder` takes and gives what an `Encoder` does.

    `worth` has what each word of the vocabulary counts in a query; without it, all count the same.
    Holds the queries' vectors, and one document's at a time.
    """
    encoded = {
        name: (*_query(encoder(ids)), weights(ids, worth)) for name, ids in listed.queries.items()
    }
    parts = {
        name: Parts(np.zeros(length, np.float32), np.zeros(length, np.float32))
        for name, length in listed.lengths.items()
    }
    for content, places in listed.documents.items():
        vectors = encoder(np.frombuffer(content, np.int32))
        mean, tokens = unit(vectors.mean(axis=0)), unit(vectors).T
        for name, place in places:
            query_mean, inner, weight = encoded[name]
            parts[name].cosine[place] = query_mean @ mean
            if len(inner):
                parts[name].match[place] = weight @ (inner @ tokens).max(axis=1)
    return parts


def weights(ids: NDArray[np.int32], worth: Vectors | None) -> Vectors:
    """What each of a query's tokens counts, float32 `[tokens]`, 1 in sum."""
    counted = np.ones(len(ids), np.float32) if worth is None else worth[ids]
    return np.asarray(counted / max(float(counted.sum()), 1e-12), np.float32)


def _query(vectors: Vectors) -> tuple[Vectors, Vectors]:
    return unit(vectors.mean(axis=0)), unit(vectors[1:-1])


def unit(vectors: Vectors) -> Vectors:
    """Each vector divided by its length."""
    norm = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(norm, 1e-12), np.float32)
