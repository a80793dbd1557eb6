"""Stage 3: candidates of each query within its source, found by BM25 and by the teachers.

A source of queries without passages has others' passages, which the configuration names.

Writes `candidates.npy`, int32 `[queries, candidates]`: lines of `passages.jsonl` without the
query's own, those of the two lists by turns, padded with -1.
"""

import logging
from itertools import chain
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
from numpy.typing import NDArray

from gather import read_lines

log = logging.getLogger("mine")

# Of a matrix of scores that is held at a time.
_ROWS = 1024


def mine(config: dict[str, Any], out: Path) -> None:
    """Find the candidates of all queries."""
    queries, passages = read_lines(out / "queries.jsonl"), read_lines(out / "passages.jsonl")
    pooled = {
        kind: np.concatenate([_unit(out / name / kind) for name in config["teachers"]], axis=1)
        for kind in ("queries", "passages")
    }
    size = config["bm25"] + config["encoders"]
    found = np.full((len(queries), size), -1, np.int32)
    for source in sorted({query["source"] for query in queries}):
        asked = np.array([n for n, each in enumerate(queries) if each["source"] == source])
        among = config["among"].get(source, [source])
        held = np.array([n for n, each in enumerate(passages) if each["source"] in among])
        words = _by_words(queries, passages, asked, held, config["bm25"])
        similar = _by_vectors(pooled, asked, held, config["encoders"])
        for query, *lists in zip(asked, words, similar, strict=True):
            own = {queries[query]["passage"]}
            merged = chain.from_iterable(zip(*lists, strict=False))
            kept = [each for each in dict.fromkeys(merged) if each not in own][:size]
            found[query, : len(kept)] = kept
        log.info("%s: %d queries, %d passages", source, len(asked), len(held))
    np.save(out / "candidates.npy", found)


def _by_words(
    queries: list[dict[str, Any]],
    passages: list[dict[str, Any]],
    asked: NDArray[np.int64],
    held: NDArray[np.int64],
    count: int,
) -> NDArray[np.int64]:
    index = bm25s.BM25()
    texts = [passages[each]["text"] for each in held]
    index.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)
    tokens = bm25s.tokenize([queries[each]["text"] for each in asked], show_progress=False)
    places, _ = index.retrieve(tokens, k=min(count + 1, len(held)), show_progress=False)
    return np.asarray(held[places], np.int64)


def _by_vectors(
    pooled: dict[str, NDArray[np.float32]],
    asked: NDArray[np.int64],
    held: NDArray[np.int64],
    count: int,
) -> NDArray[np.int64]:
    count = min(count + 1, len(held))
    rows = []
    for start in range(0, len(asked), _ROWS):
        block = asked[start : start + _ROWS]
        scores = pooled["queries"][block] @ pooled["passages"][held].T
        best = np.argpartition(-scores, count - 1, axis=1)[:, :count]
        order = np.take_along_axis(scores, best, axis=1).argsort(axis=1)[:, ::-1]
        rows.append(held[np.take_along_axis(best, order, axis=1)])
    return np.concatenate(rows)


def _unit(folder: Path) -> NDArray[np.float32]:
    return np.asarray(np.load(folder / "pooled.npy"), np.float32)
