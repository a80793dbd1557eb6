"""Fits what a place in the first stage's order is worth, on queries held out of training.

    python prior.py --run <folder of recipe.py> --model small nano [--write]

`--run` holds what the stages `gather` and `encode` of recipe.py left. Prints the weights that
several criteria choose, and how each first stage fares with a weight that was fitted without it.
`--write` puts the weight of all of them into the models' cards, which have to be built before.

The posterior is `logit - weight * log(1 + place)`, place from 0. The weight comes from `Prior.fit`
over all first stages' lists.
"""

import argparse
import json
import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bm25s
import numpy as np
from numpy.typing import NDArray

import by_text
import shipped_encoder
from files import read_card, write_json
from gather import read_lines
from resift import Prior
from resift.evaluation.measures import in_order, ndcg, reciprocal_rank
from resift.logistic import fit_logistic
from resift.text.tokenizer import PairTokenizer
from stages import STAGES, Stage, best, fused
from table import MODELS
from teachers import TEACHERS

# Sources whose queries and passages people wrote for each other.
SOURCES = ("squad", "natural_questions", "medquad", "code", "documentation")
DEPTH, FOUND = 50, 100
FITTED_ON = """
questions held out of training (SQuAD 1.1 train, Natural Questions open, MedQuAD, code and its
documentation), with the first 50 passages each of BM25, of three encoders' pooled vectors, and of
BM25 fused with each; left_out: each of these with the weight of those that share no retriever
"""
GRID = (0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1, 1.5, 2)
SEED = 0

log = logging.getLogger("prior")
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Listed:
    """A query's first `DEPTH` passages by one first stage, as lines of `passages.jsonl`."""

    source: str
    stage: Stage
    query: int
    own: int
    passages: list[int]

    @property
    def relevant(self) -> NDArray[np.bool_]:
        """Bool `[passages]`."""
        return np.array([each == self.own for each in self.passages])


@dataclass(frozen=True)
class Scored:
    """A list with a model's logits, `[passages]`."""

    listed: Listed
    logits: Floats

    def measures(self, weight: float | None) -> tuple[float, float]:
        """nDCG@10 and the reciprocal rank with a weight; `None` is the first stage's own order."""
        places = range(len(self.logits))
        order = np.array(places)
        if weight is not None:
            order = in_order(self.logits + Prior(place_weight=weight)(places))
        grades = self.listed.relevant[order].astype(np.float64)
        return ndcg(grades, [1], gains="linear"), reciprocal_rank(grades)


def find(run: Path, count: int) -> list[Listed]:
    """Held-out queries, `count` of each source that has them, with what each first stage finds."""
    queries, passages = read_lines(run / "queries.jsonl"), read_lines(run / "passages.jsonl")
    found: list[Listed] = []
    for source in SOURCES:
        held_out = [
            number
            for number, each in enumerate(queries)
            if each["source"] == source and each["held_out"]
        ]
        asked = random.Random(SEED).sample(held_out, min(count, len(held_out)))
        among = [number for number, each in enumerate(passages) if each["source"] == source]
        ranked = {"bm25": _by_words([queries[n] for n in asked], [passages[n] for n in among])}
        for name in TEACHERS:
            ranked[name] = _by_vectors(run / name, asked, among)
        for at, query in enumerate(asked):
            for stage in STAGES:
                lists = [ranked[name][at] for name in sorted(stage.retrievers)]
                chosen = [among[place] for place in fused(lists, DEPTH)]
                found.append(Listed(source, stage, query, queries[query]["passage"], chosen))
        log.info("%s: %d queries, %d passages", source, len(asked), len(among))
    return found


def _by_words(
    queries: Sequence[dict[str, Any]], passages: Sequence[dict[str, Any]]
) -> list[list[int]]:
    index = bm25s.BM25()
    texts = [each["text"] for each in passages]
    index.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)
    tokens = bm25s.tokenize([each["text"] for each in queries], show_progress=False)
    places, _ = index.retrieve(tokens, k=min(FOUND, len(texts)), show_progress=False)
    return [[int(place) for place in row] for row in places]


def _by_vectors(folder: Path, asked: list[int], among: list[int]) -> list[list[int]]:
    pooled = {
        kind: np.load(folder / kind / "pooled.npy")[rows].astype(np.float32)
        for kind, rows in (("queries", asked), ("passages", among))
    }
    return [best(row, FOUND) for row in pooled["queries"] @ pooled["passages"].T]


def score(folder: Path, run: Path, lists: Sequence[Listed], threads: int) -> list[Scored]:
    """The lists with the logits of the model in `folder`, which are kept in `run`."""
    # Each passage once for a query, whichever first stages found it.
    union: dict[int, dict[int, None]] = {}
    for each in lists:
        union.setdefault(each.query, {}).update(dict.fromkeys(each.passages))
    pairs = {query: list(found) for query, found in union.items()}
    card = read_card(folder)
    digest = card["artifacts"][0]["data_sha256"][:12]
    path = run / f"prior.{card['name']}.{digest}.{len(pairs)}.json"
    if not path.exists():
        path.write_text(json.dumps(_logits(folder, run, pairs, threads)), encoding="utf-8")
    logits = json.loads(path.read_text(encoding="utf-8"))
    known = {
        query: dict(zip(found, logits[str(query)], strict=True)) for query, found in pairs.items()
    }
    return [Scored(each, np.array([known[each.query][n] for n in each.passages])) for each in lists]


def _logits(
    folder: Path, run: Path, pairs: dict[int, list[int]], threads: int
) -> dict[str, list[float]]:
    queries, passages = read_lines(run / "queries.jsonl"), read_lines(run / "passages.jsonl")
    tokenizer = PairTokenizer(folder / "tokenizer.json", pad_token_id=0)
    shipped = shipped_encoder.read(folder)
    texts = {
        str(query): (queries[query]["text"], [passages[n]["text"] for n in found])
        for query, found in pairs.items()
    }
    encoder = by_text.Encoder(shipped.graph, tokenizer, threads=threads)
    parts = by_text.score(encoder, by_text.tokenize(tokenizer, texts), shipped.worth)
    return {query: shipped.logits(each).tolist() for query, each in parts.items()}


def fit(scored: Iterable[Scored]) -> float:
    """The weight that tells best which passage of a list is the query's own."""
    logits, places, labels, queries = _columns(scored)
    fitted = Prior.fit(
        logits.tolist(), places.astype(int).tolist(), labels.astype(int).tolist(), queries=queries
    )
    return fitted.place_weight


def fit_at_once(scored: Iterable[Scored]) -> float:
    """The weight by one logistic regression over all lists, whatever query they belong to."""
    logits, places, labels, _ = _columns(scored)
    features = np.column_stack([logits, -np.log1p(places)])
    (slope, place), _ = fit_logistic(features, labels)
    return float(place / slope)


def _columns(scored: Iterable[Scored]) -> tuple[Floats, Floats, Floats, list[int]]:
    """Logits, places, labels and queries of all documents; each list is a query."""
    lists = list(scored)
    lengths = [len(each.logits) for each in lists]
    return (
        np.concatenate([each.logits for each in lists]),
        np.concatenate([np.arange(length, dtype=np.float64) for length in lengths]),
        np.concatenate([each.listed.relevant.astype(np.float64) for each in lists]),
        np.repeat(np.arange(len(lists)), lengths).tolist(),
    )


def mean(scored: Iterable[Scored], weight: float | None) -> Floats:
    """nDCG@10 and MRR@10, all sources weighing the same."""
    by_source: dict[str, list[tuple[float, float]]] = {}
    for each in scored:
        by_source.setdefault(each.listed.source, []).append(each.measures(weight))
    means = [np.mean(values, axis=0) for values in by_source.values()]
    return np.asarray(np.mean(means, axis=0))


def by_stages(scored: Sequence[Scored]) -> Iterator[tuple[Any, list[Scored], list[Scored]]]:
    """Each first stage, its lists, and those of all that share no retriever with it."""
    for stage in STAGES:
        own = [each for each in scored if each.listed.stage == stage]
        yield stage, own, [x for x in scored if not x.listed.stage.retrievers & stage.retrievers]


def left_out(scored: Sequence[Scored]) -> str:
    """The table: each first stage with the weight of those that share no retriever with it."""
    rows = [
        "| left out | weight | itself | without | **with it** | with that of all | best |",
        "|---" * 7 + "|",
    ]
    all_of_them = fit(scored)
    for stage, own, others in by_stages(scored):
        weight = fit(others)
        cells = [
            " / ".join(f"{value:.3f}" for value in mean(own, each))
            for each in (None, 0, weight, all_of_them)
        ]
        top = max(GRID, key=lambda each: mean(own, each)[0])
        rows.append(
            f"| {stage} | {weight:.3f} | {' | '.join(cells)} | {top:g}: {mean(own, top)[0]:.3f} |"
        )
    return "\n".join(rows)


def criteria(scored: Sequence[Scored]) -> dict[str, str]:
    """What other criteria would choose, by their names."""
    parts = {
        **{str(stage): [each for each in scored if each.listed.stage == stage] for stage in STAGES},
        **{name: [each for each in scored if each.listed.source == name] for name in SOURCES},
    }
    own = {name: fit(part) for name, part in parts.items()}
    top = max(GRID, key=lambda each: mean(scored, each)[0])
    by_stage = [own[str(stage)] for stage in STAGES]
    return {
        "within lists": f"{fit(scored):.3f}",
        "over all lists at once": f"{fit_at_once(scored):.3f}",
        "mean of the first stages' own": f"{np.mean(by_stage):.3f}",
        "median of the first stages' own": f"{np.median(by_stage):.3f}",
        "mean of the sources' own": f"{np.mean([own[name] for name in SOURCES]):.3f}",
        "own": ", ".join(f"{name} {weight:.2f}" for name, weight in own.items()),
        "best nDCG@10 of the grid": f"{top:g}",
        "nDCG@10 on the grid": ", ".join(f"{w:g} {mean(scored, w)[0]:.4f}" for w in GRID),
    }


def on_card(scored: Sequence[Scored]) -> dict[str, Any]:
    """What the card says: the weight, its figures as means over the lists, and where from."""
    weight = float(f"{fit(scored):.2g}")
    by_stage = [mean(own, fit(others))[0] for _, own, others in by_stages(scored)]
    return {
        "place_weight": weight,
        "ndcg@10": {
            "without": round(mean(scored, 0)[0], 4),
            "left_out": round(float(np.mean(by_stage)), 4),
            "with": round(mean(scored, weight)[0], 4),
        },
        "fitted_on": " ".join(FITTED_ON.split()),
    }


def main() -> None:
    """Print the tables; write the weights."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--run", type=Path, required=True)
    arguments.add_argument("--model", nargs="+", choices=MODELS, required=True)
    arguments.add_argument("--queries", type=int, default=100, help="of each source, at most")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--write", action="store_true", help="into the models' cards")
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    lists = find(options.run, options.queries)
    for name in options.model:
        folder = MODELS[name].folder
        scored = score(folder, options.run, lists, options.threads)
        log.info("\n%s\n%s", name, left_out(scored))
        for criterion, value in criteria(scored).items():
            log.info("%s: %s", criterion, value)
        if options.write:
            write_json(folder / "card.json", read_card(folder) | {"prior": on_card(scored)})


if __name__ == "__main__":
    main()
