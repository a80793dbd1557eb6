"""Our models side by side: the time of one ranking, and what `prune` saves. Medians, alternating.

    python benchmarks/models.py [--models resift-small resift-base] [--rounds 5]

The Python documentation of this installation, in passages; the fifty questions of examples/stores,
each with its first 100 by BM25; `top_n` of 10. Needs bm25s. A process on two threads.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Literal

from resift import Ranking, Reranker

sys.path.append(str(Path(__file__).parent / "cpu"))

from passages import CANDIDATES, candidates

MODELS = ("resift-nano", "resift-small", "resift-base", "resift-multilingual")
TOP_N = 10
# A model's name, and prune.
Prune = Literal["auto"] | None
Way = tuple[str, Prune]
PRUNE: tuple[Prune, ...] = (None, "auto")


def main() -> None:
    """Print a Markdown table."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--models", nargs="+", default=MODELS, help="names or folders")
    arguments.add_argument("--questions", type=int, default=20)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    requests = candidates(options.questions)
    ways: list[Way] = [(model, prune) for model in options.models for prune in PRUNE]
    rerankers = {way: Reranker(way[0], prune=way[1], threads=2) for way in ways}
    for reranker in rerankers.values():
        reranker.rank(*requests[0], top_n=TOP_N)
    found: dict[Way, list[list[Ranking]]] = {way: [[] for _ in requests] for way in ways}
    for _ in range(options.rounds):
        for number, (query, documents) in enumerate(requests):
            for way, reranker in rerankers.items():
                found[way][number].append(reranker.rank(query, documents, top_n=TOP_N))
    sys.stdout.write(table(found))


def table(found: dict[Way, list[list[Ranking]]]) -> str:
    """A row for each way; shares are of the first model's time without `prune`."""
    rows = ["| model | prune | precision | ms | share of the first | documents given up |"]
    rows.append("|---" * 6 + "|")
    times = {way: milliseconds(rankings) for way, rankings in found.items()}
    first = next(iter(times.values()))
    for (model, prune), rankings in found.items():
        last = [each[-1] for each in rankings]
        given_up = sum(each.counts.pruned_documents for each in last) / (CANDIDATES * len(last))
        own = times[model, prune]
        rows.append(
            f"| {Path(model).name} | {prune or ''} | {last[0].precision} | {own:.0f} "
            f"| {own / first:.2f} | {given_up:.0%} |"
        )
    return "\n".join(rows) + "\n"


def milliseconds(rankings: Sequence[Sequence[Ranking]]) -> float:
    """The mean over questions of the median over rounds."""
    by_question = [median(each.timings.total for each in rounds) for rounds in rankings]
    return 1000 * sum(by_question) / len(by_question)


if __name__ == "__main__":
    main()
