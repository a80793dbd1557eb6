"""A chat that must answer within 800 ms, 100 of them for choosing among 40 candidates.

Each question is ranked by four rerankers, all with `deadline_ms=100`. What is scored in that time
comes first; what isn't follows in the first stage's order, so there is an answer in any case, even
where a model fails (`on_error="first_stage"`). What the table says of each:

    scored    documents that the last model scored
    cut       documents that the fast model, or pruning, left out
    late      documents that nobody had time for: the status is "partial" where there are any
    stages    each model's texts and milliseconds

    pip install resift bm25s
    python examples/chat_deadline.py [MILLISECONDS]

prints for each question, here on 2 busy cores:

    and when is a default parameter value evaluated: 40 candidates in 1 ms
    reranker          status    scored  cut  late    ms  stages
    small             partial       5    0    35    81  resift-small 5 in 81
    small, pruned     partial       4    4    32    89  resift-nano 13 in 41, resift-small 4 in 48
    nano, then small  partial       2    4    34    96  resift-nano 14 in 56, resift-small 2 in 39
    nano              complete     40    0     0    93  resift-nano 40 in 93
    answer, with 704 ms left: **Default parameter values are evaluated from left to right when the f
"""

from __future__ import annotations

import sys
import time
from pydoc_data.topics import topics
from typing import Any

import bm25s

from resift import Ranking, Reranker
from resift.scoring import Cascade, Fallback, Local, Pool

CHAT = (
    "does a loop have an else",
    "and when is a default parameter value evaluated",
    "what happens if an exception is raised in a finally clause",
)
ANSWER_MS, CANDIDATES = 800.0, 40


def rerankers(deadline_ms: float) -> dict[str, Reranker]:
    """Four ways to spend the same time. They share the threads and the queue of a pool."""
    pool = Pool()
    small, nano = Local("resift-small", pool=pool), Local("resift-nano", pool=pool)
    # Should the cascade fail, nano alone takes over.
    cascade = Fallback(Cascade([nano, small], keep=[10]), nano)
    options: dict[str, Any] = {
        "deadline_ms": deadline_ms,
        "on_error": "first_stage",
        # The order given comes from BM25, and is evidence.
        "prior": "auto",
        # The beginning of a paragraph says what it is about, in half the time.
        "max_document_tokens": 48,
    }
    return {
        "small": Reranker(scorer=small, **options),
        "small, pruned": Reranker(scorer=small, prune="auto", **options),
        "nano, then small": Reranker(scorer=cascade, **options),
        "nano": Reranker(scorer=nano, **options),
    }


def row(name: str, ranking: Ranking) -> str:
    """What became of the candidates, and of the time."""
    counts = ranking.counts
    cut = counts.pruned_documents
    late = counts.documents - counts.scored - cut
    stages = ", ".join(
        f"{each.model} {each.pairs} in {each.seconds * 1000:.0f}" for each in ranking.stages
    )
    taken = ranking.timings.total * 1000
    return f"{name:17} {ranking.status:9} {counts.scored:5} {cut:4} {late:5} {taken:5.0f}  {stages}"


def main() -> None:
    """Hold the chat."""
    deadline_ms = float(sys.argv[1]) if sys.argv[1:] else 100.0
    paragraphs = {" ".join(p.split()) for text in topics.values() for p in text.split("\n\n")}
    texts = sorted(text for text in paragraphs if len(text) > 80)
    first_stage = bm25s.BM25()
    first_stage.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)
    ways = rerankers(deadline_ms)
    for each in ways.values():
        # Before the first question: models are loaded, and a ranking shows what passes cost here.
        each.warm_up()
        each.rank("warm up", texts[:CANDIDATES], top_n=5, deadline_ms=60_000)
    for question in CHAT:
        start = time.perf_counter()
        asked = bm25s.tokenize([question], show_progress=False)
        (places,), _ = first_stage.retrieve(asked, k=CANDIDATES, show_progress=False)
        found = [texts[place] for place in places]
        retrieved = time.perf_counter()
        print(f"\n{question}: {len(found)} candidates in {(retrieved - start) * 1000:.0f} ms")
        print(f"{'reranker':17} {'status':9} scored  cut  late    ms  stages")
        for name, reranker in ways.items():
            ranking = reranker.rank(question, found, top_n=5)
            print(row(name, ranking))
            if name == "nano, then small":
                chosen = ranking
        spent = (retrieved - start + chosen.timings.total) * 1000
        print(
            f"answer, with {max(0.0, ANSWER_MS - spent):.0f} ms left: {found[chosen[0].index][:70]}"
        )


if __name__ == "__main__":
    main()
