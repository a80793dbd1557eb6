"""Put two models side by side on the same candidates, and see what moves.

BM25 finds 40 paragraphs of the Python language reference. Both models rank all of them; the table
has the first five of either, and where the other one and BM25 have them. Below it: how much the
orders agree, and what each took. Which of them is right, `resift evaluate` tells from judgements.

    pip install resift bm25s
    python examples/two_models.py [MODEL MODEL]

prints, with Python 3.11's documentation:

    does a loop have an else
        resift-small    resift-nano   BM25
                   1              1      1  It terminates the nearest enclosing loop, skipping ...
                   3              4      2  A "break" statement executed in the first suite ...
                   2              7      3  This repeatedly tests the expression and, if it ...
    ...
      2 of the first 5 in both, Kendall's tau 0.5...
      resift-small: 445 ms for 40 pairs
      resift-nano: 141 ms for 40 pairs
    ...
"""

from __future__ import annotations

import sys
from pydoc_data.topics import topics

import bm25s

from resift import Ranking, Reranker

QUESTIONS = (
    "does a loop have an else",
    "when is a default parameter value evaluated",
)
CANDIDATES, SHOWN = 40, 5


def places(ranking: Ranking) -> dict[int, int]:
    """The place of each candidate, from 1."""
    return {each.index: place for place, each in enumerate(ranking, start=1)}


def agreement(first: dict[int, int], second: dict[int, int]) -> float:
    """Kendall's tau: the share of pairs in the same order less that of pairs in the other."""
    indices = sorted(first)
    pairs = [(a, b) for n, a in enumerate(indices) for b in indices[:n]]
    same = sum((first[a] < first[b]) == (second[a] < second[b]) for a, b in pairs)
    return 2 * same / len(pairs) - 1


def main() -> None:
    """Print a table for each question."""
    names = sys.argv[1:3] if len(sys.argv) > 2 else ["resift-small", "resift-nano"]
    models = [Reranker(name) for name in names]
    paragraphs = {" ".join(p.split()) for text in topics.values() for p in text.split("\n\n")}
    texts = sorted(text for text in paragraphs if len(text) > 80)
    index = bm25s.BM25()
    index.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)
    for question in QUESTIONS:
        asked = bm25s.tokenize([question], show_progress=False)
        (found,), _ = index.retrieve(asked, k=CANDIDATES, show_progress=False)
        candidates = [texts[place] for place in found]
        rankings = [model.rank(question, candidates) for model in models]
        one, other = (places(ranking) for ranking in rankings)
        print(f"{question}\n  {names[0]:>14} {names[1]:>14} {'BM25':>6}")
        shown = {each.index for ranking in rankings for each in ranking[:SHOWN]}
        for each in sorted(shown, key=lambda each: one[each] + other[each]):
            print(f"  {one[each]:>14} {other[each]:>14} {each + 1:>6}  {candidates[each][:56]}")
        both = len({x.index for x in rankings[0][:SHOWN]} & {x.index for x in rankings[1][:SHOWN]})
        print(f"  {both} of the first {SHOWN} in both, Kendall's tau {agreement(one, other):.2f}")
        for ranking in rankings:
            milliseconds = ranking.timings.infer * 1000
            print(f"  {ranking.model}: {milliseconds:.0f} ms for {ranking.counts.pairs} pairs")


if __name__ == "__main__":
    main()
