"""One system in a process of its own: requests as lines of JSON in, answers out.

    python worker.py ADAPTER MODEL THREADS OPTIONS

The first line out tells that the model is loaded, or why it can't be; so does each answer.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from adapters import ADAPTERS, Adapter, limit_process
from memory import memory
from meter import Meter


def main() -> None:
    """Load, then answer until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    # Whatever a library prints must not get between the answers.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(content: dict[str, Any]) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    name, model, threads, options = sys.argv[1:]
    limit_process(int(threads))
    meter = Meter()
    try:
        adapter = ADAPTERS[name](Path(model), int(threads), json.loads(options), meter)
    # A peer that can't run this model is a line in the report, not the end of the run.
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    answer({"memory": memory()})
    for line in sys.stdin:
        try:
            answer(_answer(adapter, meter, json.loads(line)))
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}"})


def _answer(adapter: Adapter, meter: Meter, request: dict[str, Any]) -> dict[str, Any]:
    query, documents = request["query"], request["documents"]
    if request.get("lengths"):
        return {"lengths": adapter.lengths(query, documents)}  # type: ignore[attr-defined]
    return _rank(adapter, meter, query, documents)


def _rank(adapter: Adapter, meter: Meter, query: str, documents: list[str]) -> dict[str, Any]:
    meter.reset()
    start = time.perf_counter()
    ranked = adapter.rank(query, documents)
    seconds = time.perf_counter() - start
    return {
        "seconds": seconds,
        "scores": adapter.scores(ranked),
        "memory": memory(),
        **vars(meter),
    }


if __name__ == "__main__":
    main()
