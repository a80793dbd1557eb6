"""nDCG@10 and MRR@10 of rerankers on test collections, with paired bootstrap intervals.

    python evaluate.py <archive.tar.gz>... [--systems first_stage v0 small-int8] [--queries 60]

Each archive is as `collection.read` takes it; the first stage's top 100 are reranked.
"""

import argparse
import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from collection import read
from comparison import MEASURES, interval, measure
from made import CACHE
from rankers import PUBLISHED, Systems

# What every system is compared with, where it is measured too, unless others are named.
BASELINES = ("first_stage", "v0")
DEFAULT = (*PUBLISHED, "small-fp32", "small-int8")

# By measure, float64 `[queries]`.
Values = Mapping[str, NDArray[np.float64]]
log = logging.getLogger("evaluate")


def main() -> None:
    """Measure every system on every archive; write JSON to `--out`, Markdown to `--table`."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("archives", nargs="+", type=Path)
    arguments.add_argument(
        "--systems",
        nargs="+",
        default=DEFAULT,
        metavar="NAME",
        help=f"of {', '.join(PUBLISHED)}, or <model>-<precision>: a folder or a bundled name",
    )
    arguments.add_argument(
        "--baselines", nargs="+", default=BASELINES, help="systems that all are compared with"
    )
    arguments.add_argument("--queries", type=int, help="measure a seeded sample of this many")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--cache", type=Path, default=CACHE, help="of downloads and scores")
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--table", type=Path)
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    systems = Systems(options.cache, options.threads)
    results: dict[str, dict[str, Any]] = {}
    tables: list[str] = []
    for archive in options.archives:
        collection = read(archive)
        queries = collection.sample(options.queries)
        values = {}
        for name in options.systems:
            scores = systems.scores(name, collection, queries)
            values[Path(name).name] = measure(collection, queries, scores)
        found = {"queries": len(queries), **report(values, options.baselines)}
        results[collection.name] = found
        tables.append(table(collection.name, found, options.baselines))
        log.info("%s", tables[-1])
        # After each, so that a run that is stopped leaves what it has.
        if options.out:
            options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        if options.table:
            options.table.write_text("\n".join(tables), encoding="utf-8")


def report(
    values: Mapping[str, Values], baselines: Sequence[str] = BASELINES
) -> dict[str, dict[str, Any]]:
    """By measure and system: the mean, and the interval of its difference from each baseline.

    Rounded to four digits, as `{"mean": …, "over_first_stage": [low, high], "over_v0": …}`.
    """
    return {
        measure_: {
            name: {"mean": round(float(own[measure_].mean()), 4)}
            | {
                f"over_{baseline}": [
                    round(bound, 4) for bound in interval(own[measure_], values[baseline][measure_])
                ]
                for baseline in baselines
                if baseline in values and baseline != name
            }
            for name, own in values.items()
        }
        for measure_ in MEASURES
    }


def table(name: str, results: Mapping[str, Any], compared: Sequence[str] = BASELINES) -> str:
    """One collection's `results` in Markdown. What is below a baseline for sure has a ▼."""
    baselines = [each for each in compared if each in results["ndcg@10"]]
    header = [
        title
        for measure_ in MEASURES
        for title in (measure_, *(f"over {baseline}" for baseline in baselines))
    ]
    rows = [[f"{name}, {results['queries']} queries", *header], ["---"] * (len(header) + 1)]
    for system in results["ndcg@10"]:
        row = [system]
        for measure_ in MEASURES:
            entry = results[measure_][system]
            row.append(f"{entry['mean']:.4f}")
            row += [_bounds(entry.get(f"over_{baseline}")) for baseline in baselines]
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _bounds(bounds: Sequence[float] | None) -> str:
    if bounds is None:
        return ""
    low, high = bounds
    return f"{low:+.4f} … {high:+.4f}{' ▼' if high < 0 else ''}"


if __name__ == "__main__":
    main()
