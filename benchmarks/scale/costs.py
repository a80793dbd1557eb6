"""What one ranking of 100 documents costs here: seconds of a processor, for each way of ranking."""

from __future__ import annotations

import time
from typing import Any, Literal

from passages import candidates

from resift import Reranker

# Those of the best that go on to the second model of a cascade.
KEPT = 20
_Prune = Literal["auto"] | None
WAYS: dict[str, tuple[str, _Prune, int]] = {
    "small": ("resift-small", None, 100),
    "small, prune": ("resift-small", "auto", 100),
    "small of 20": ("resift-small", None, KEPT),
}


def measure(questions: int, rounds: int) -> dict[str, Any]:
    """For each way, the seconds of each question, as the least of all rounds.

    Seconds of the processor at one thread, and not of the clock: other work on the machine makes
    these longer, and those hardly. `speed_up`: of two threads over one, by the clock, side by side.
    """
    requests = candidates(questions)
    rerankers = {
        (way, threads): Reranker(model, prune=prune, threads=threads)
        for way, (model, prune, _) in WAYS.items()
        for threads in (1, 2)
    }
    for reranker in rerankers.values():
        reranker.rank(*requests[0], top_n=10)
    spent: dict[tuple[str, int], list[list[tuple[float, float]]]] = {
        key: [[] for _ in requests] for key in rerankers
    }
    for _ in range(rounds):
        for number, (query, documents) in enumerate(requests):
            for (way, threads), reranker in rerankers.items():
                busy, start = time.process_time(), time.perf_counter()
                reranker.rank(query, documents[: WAYS[way][2]], top_n=10)
                took = (time.process_time() - busy, time.perf_counter() - start)
                spent[way, threads][number].append(took)
    return {
        "questions": questions,
        "rounds": rounds,
        "seconds": {
            way: [round(min(busy for busy, _ in each), 4) for each in spent[way, 1]] for way in WAYS
        },
        "speed_up": round(
            sum(min(clock for _, clock in each) for each in spent["small", 1])
            / sum(min(clock for _, clock in each) for each in spent["small", 2]),
            2,
        ),
    }
