"""What training reads: queries, passages, and the batches made of them."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encode import Store, load_tokenizer
from encoder import tokenize
from gather import read_lines


@dataclass(frozen=True)
class Batch:
    """Queries, and passages of which `own[query]` lists the places: its own first, if it has one,
    then those that were mined for it. `gold` has the first's place, or -1.
    """

    queries: list[int]
    passages: list[int]
    own: list[list[int]]
    gold: list[int]


@dataclass(frozen=True)
class Data:
    """What the earlier stages wrote."""

    queries: list[dict[str, Any]]
    candidates: NDArray[np.int32]
    query_ids: list[list[int]]
    passage_ids: list[list[int]]
    teachers: list[tuple[Store, Store]]

    def own(self, query: int) -> list[int]:
        """The query's own passage, if it has one."""
        passage = self.queries[query]["passage"]
        return [] if passage is None else [passage]

    def mined(self, query: int) -> list[int]:
        """The passages that were mined for it."""
        return [int(each) for each in self.candidates[query] if each >= 0]


def read(teachers: Iterable[str], limits: dict[str, int], cache: Path, out: Path) -> Data:
    """Read it, and tokenize."""
    tokenizer = load_tokenizer(cache)
    lines = {kind: read_lines(out / f"{kind}.jsonl") for kind in ("queries", "passages")}
    ids = {
        kind: tokenize(
            tokenizer,
            [line["text"] for line in lines[kind]],
            limit=limits[kind],
        )
        for kind in lines
    }
    stores = [(Store(out / name / "queries"), Store(out / name / "passages")) for name in teachers]
    for store in stores:
        for kind, each in zip(ids, store, strict=True):
            if not np.array_equal(np.diff(each.offsets), [len(row) for row in ids[kind]]):
                raise ValueError(f"the vectors of {kind} in {out} are of other texts: remove {out}")
    return Data(
        lines["queries"],
        np.load(out / "candidates.npy"),
        ids["queries"],
        ids["passages"],
        stores,
    )


def batches(data: Data, settings: dict[str, Any], seed: int) -> Iterator[Batch]:
    """Without end: each epoch has every query that isn't held out once, a source at a time."""
    sources: dict[str, list[int]] = {}
    for number, query in enumerate(data.queries):
        if not query["held_out"]:
            sources.setdefault(query["source"], []).append(number)
    epoch = 0
    while True:
        chance = random.Random(f"{seed} epoch {epoch}")
        parts: list[list[int]] = []
        for numbers in sources.values():
            shuffled = chance.sample(numbers, len(numbers))
            size = settings["lists"]
            parts += [shuffled[n : n + size] for n in range(0, len(shuffled) - size + 1, size)]
        chance.shuffle(parts)
        for part in parts:
            yield _batch(data, part, settings["negatives"], chance)
        epoch += 1


def _batch(data: Data, queries: list[int], negatives: int, chance: random.Random) -> Batch:
    place: dict[int, int] = {}
    own, gold = [], []
    for query in queries:
        first = data.own(query)
        found = data.mined(query)
        mine = [*first, *chance.sample(found, min(negatives + 1 - len(first), len(found)))]
        own.append([place.setdefault(passage, len(place)) for passage in mine])
        gold.append(own[-1][0] if first else -1)
    return Batch(queries, list(place), own, gold)
