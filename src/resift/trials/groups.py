"""A ranker's gain by the length of queries and documents, and by what was cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from resift.evaluation.intervals import Difference, paired_bootstrap
from resift.trials.collection import Collection
from resift.trials.measuring import Values
from resift.trials.running import Run

Chosen = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """Queries of a kind, and what a ranker does to them."""

    name: str
    queries: int
    first_stage: float
    """Mean nDCG@10."""
    ranked: float
    gain: Difference


@dataclass(frozen=True, kw_only=True, slots=True)
class Groups:
    """A ranker's gain by lengths, and by what it couldn't read."""

    ranker: str
    by_query: Sequence[Group]
    by_document: Sequence[Group]
    by_cut: Sequence[Group]
    cut_share: float
    """Of all candidates, those of which the model didn't see all."""


def groups(
    run: Run, collection: Collection, queries: Sequence[str], values: Values, first: Values
) -> Groups:
    """Split the queries by their words, by their relevant documents' words, and by cuts."""
    words = np.array([len(collection.queries[each].split()) for each in queries])
    lengths = np.array([_relevant_words(collection, each) for each in queries])
    cut = np.array([_relevant_cut(run, collection, each) for each in queries])
    known = ~np.isnan(lengths)
    all_cut = [run.ordered[each].cut for each in queries if each in run.ordered]
    share = float(np.concatenate(all_cut).mean()) if sum(map(len, all_cut)) else 0.0
    there = np.isin(cut, (0, 1))

    def group(name: str, chosen: Chosen) -> Group:
        return Group(
            name=name,
            queries=int(chosen.sum()),
            first_stage=float(first[chosen].mean()),
            ranked=float(values[chosen].mean()),
            gain=paired_bootstrap(values[chosen], first[chosen]),
        )

    by_cut = [
        group(name, cut == kind)
        for name, kind in (("a relevant document was cut", 1), ("none was cut", 0))
        if share and (cut == kind).any() and there.any()
    ]
    return Groups(
        ranker=run.name,
        by_query=[group(f"{name} words", each) for name, each in thirds(words.astype(float))],
        by_document=[
            group(f"{name} words", np.isin(np.arange(len(queries)), np.flatnonzero(known)[each]))
            for name, each in thirds(lengths[known])
        ],
        by_cut=by_cut,
        cut_share=share,
    )


def thirds(values: Values) -> list[tuple[str, Chosen]]:
    """Three groups of about equal size by value, each named by its range; fewer with few values."""
    if not len(values):
        return []
    edges = np.quantile(values, [1 / 3, 2 / 3])
    number = np.searchsorted(edges, values, side="left")
    found = []
    for each in range(3):
        chosen = number == each
        if chosen.any():
            low, high = values[chosen].min(), values[chosen].max()
            found.append((f"{low:.0f}" if low == high else f"{low:.0f} to {high:.0f}", chosen))
    return found


def _relevant(collection: Collection, query: str) -> list[str]:
    grades = (collection.grades or {}).get(query, {})
    return [name for name, grade in grades.items() if grade > 0 and name in collection.documents]


def _relevant_words(collection: Collection, query: str) -> float:
    lengths = [
        len(collection.documents[name].whole.split()) for name in _relevant(collection, query)
    ]
    return float(np.mean(lengths)) if lengths else np.nan


def _relevant_cut(run: Run, collection: Collection, query: str) -> float:
    """1 where a relevant candidate was cut, 0 where none was, NaN where there is none."""
    relevant = set(_relevant(collection, query))
    places = [n for n, each in enumerate(collection.found(query)) if each.id in relevant]
    return float(run.ordered[query].cut[places].any()) if places else np.nan
