"""How the token budget of a batch changes the time of one ranking: one run, alternating, medians.

    python benchmarks/batch_tokens.py

50 documents of 40 to 200 words (seeded, from a fixed word list), the bundled model.
"""

from __future__ import annotations

import random
import statistics
import sys

from resift import Ranking, Reranker

BUDGETS = (64, 128, 256, 512, 1024, 2048, 4096)
TEXT = """search engine query document index rank score relevance token batch model encoder vector
memory thread latency cache window language passage answer question web page result click"""
ROUNDS = 7


def main() -> None:
    """Print a Markdown table."""
    generator = random.Random(0)
    documents = [
        " ".join(generator.choices(TEXT.split(), k=generator.randint(40, 200))) for _ in range(50)
    ]
    query = "which batch size makes a search engine fast"
    rerankers = {budget: Reranker(max_batch_tokens=budget) for budget in BUDGETS}
    rankings: dict[int, list[Ranking]] = {budget: [] for budget in BUDGETS}
    for _ in range(ROUNDS + 1):
        for budget, reranker in rerankers.items():
            rankings[budget].append(reranker.rank(query, documents))
    out = sys.stdout
    out.write(
        "| max_batch_tokens | infer, ms | total, ms | tokens/s | padding |\n|---|---|---|---|---|\n"
    )
    for budget, (_, *runs) in rankings.items():
        infer = statistics.median(run.timings.infer for run in runs)
        total = statistics.median(run.timings.total for run in runs)
        counts = runs[0].counts
        out.write(
            f"| {budget} | {infer * 1000:.0f} | {total * 1000:.0f} | {counts.tokens / total:.0f} "
            f"| {counts.padded_tokens / counts.tokens - 1:.1%} |\n"
        )


if __name__ == "__main__":
    main()
