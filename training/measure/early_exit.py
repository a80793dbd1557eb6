"""What `prune="auto"` costs and saves on test collections.

    python early_exit.py <archive.tar.gz>... [--model small] [--queries 40] [--margins 0.5 1]

For each `top_n`: nDCG of as many of what is returned, the documents that the whole model scored,
and the time, both as shares of those without `prune`. Times are CPU seconds of whole calls in int8
on two threads, taken by turns; each query's is the median of its rounds. Without `--margins`, the
card's is taken. The collections are for this report alone.
"""

import argparse
import json
import logging
import shutil
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np

from collection import Collection, read
from comparison import GAINS
from made import MODELS, read_card, write_json
from resift import Ranking, Reranker
from resift.evaluation.measures import ndcg

TOP_NS = (5, 10)

log = logging.getLogger("early_exit")


class Way(NamedTuple):
    """A way to rank; the whole model has no margin."""

    top_n: int
    margin: float | None


# It ranks each query once for all of them.
WHOLE = Way(max(TOP_NS), None)


def with_margin(model: Path, margin: float, parent: Path) -> Path:
    """A copy of the model, in a folder of its own, whose card has another margin."""
    folder = parent / str(margin)
    shutil.copytree(model, folder)
    card = read_card(folder)
    card["estimator"]["margin"] = margin
    write_json(folder / "card.json", card)
    return folder


def measure(
    collection: Collection, queries: list[str], models: dict[float, Reranker], rounds: int
) -> list[dict[str, Any]]:
    """One row for each `top_n` and each margin, the first without any."""
    ways = [WHOLE, *(Way(top_n, margin) for margin in models for top_n in TOP_NS)]
    rankings: defaultdict[Way, dict[str, Ranking]] = defaultdict(dict)
    seconds: defaultdict[Way, float] = defaultdict(float)
    for query in queries:
        text, texts = collection.queries[query], collection.texts(query)
        times: defaultdict[Way, list[float]] = defaultdict(list)
        for way in ways * rounds:
            model = models[way.margin if way.margin is not None else min(models)]
            start = time.process_time()
            rankings[way][query] = model.rank(
                text, texts, top_n=way.top_n, prune="off" if way == WHOLE else "auto"
            )
            times[way].append(time.process_time() - start)
        for way in ways:
            seconds[way] += median(times[way])

    def scored(way: Way) -> int:
        counts = [ranking.counts for ranking in rankings[way].values()]
        return sum(each.documents - each.pruned_documents for each in counts)

    return [
        {
            "top_n": top_n,
            "margin": way.margin,
            "ndcg": round(mean_ndcg(collection, rankings[way], top_n), 4),
            "kept": round(scored(way) / scored(WHOLE), 3),
            "time": round(seconds[way] / seconds[WHOLE], 3),
        }
        for top_n in TOP_NS
        for way in [WHOLE, *(way for way in ways[1:] if way.top_n == top_n)]
    ]


def mean_ndcg(collection: Collection, rankings: dict[str, Ranking], top_n: int) -> float:
    """The mean of the rankings by query, as far as they are among the first."""
    values = []
    for query, ranking in rankings.items():
        documents = collection.candidates(query)
        grades = collection.grades_of(query, [documents[each.index] for each in ranking])
        values.append(ndcg(grades, collection.judged(query), gains=GAINS, k=top_n))
    return float(np.mean(values))


def main() -> None:
    """Measure every margin on every archive; write JSON to `--out`, a table to the log."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("archives", nargs="+", type=Path)
    estimated = [name for name, each in MODELS.items() if each.estimator]
    arguments.add_argument("--model", choices=estimated, default="small")
    arguments.add_argument("--queries", type=int, help="a seeded sample of this many")
    arguments.add_argument("--margins", nargs="+", type=float)
    arguments.add_argument("--rounds", type=int, default=1)
    arguments.add_argument("--out", type=Path)
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    model = MODELS[options.model].folder
    margins = options.margins or [read_card(model)["estimator"]["margin"]]
    results: dict[str, list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        models = {
            margin: Reranker(
                with_margin(model, margin, Path(folder)),
                backend="onnx",
                precision="int8",
                threads=2,
            )
            for margin in margins
        }
        for archive in options.archives:
            collection = read(archive)
            queries = collection.sample(options.queries)
            # Both models are loaded before anything is timed.
            for reranker in models.values():
                reranker.rank("warm", ["up"] * 10, top_n=1, prune="auto")
            results[collection.name] = measure(collection, queries, models, options.rounds)
            for row in results[collection.name]:
                log.info("%-10s %s", collection.name, " ".join(f"{k}={v}" for k, v in row.items()))
            if options.out:
                options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
