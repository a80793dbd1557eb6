"""Tries a store on the fifty questions: the order before and after resift, and what each step took.

Writes a folder that ``resift evaluate`` reads, and its report.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from documentation import documentation
from resift import Reranker, TimingEvent
from resift.scoring import Cached, Local
from resift.trials import evaluate, read_collection
from stores import embedding

CANDIDATES, KEPT = 20, 10
QUESTIONS = Path(__file__).parent / "questions"

Search = Callable[[str], Sequence[str]]
"""Takes a question; returns the names of passages, best first."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came out for a store: nDCG@10 of its own order and of resift's, and milliseconds."""

    store: str
    passages: int
    ingest_seconds: float
    before: float
    after: float
    difference: tuple[float, float, float]
    """Mean, and the ends of its 95 % interval."""
    embed_ms: float
    search_ms: float
    rerank_ms: float
    same: int
    """Questions to which the framework's answer is what the evaluation ranked."""


class Trial:
    """The passages of one store, and an engine for the framework's adapter.

    The engine keeps its logits, so that the evaluation needn't score each pair again.
    """

    def __init__(self, store: str) -> None:
        parser = argparse.ArgumentParser(description=f"Try {store} on the Python documentation.")
        parser.add_argument(
            "--out", type=Path, default=Path("reports"), help="folder of the report"
        )
        self.store = store
        self.passages = documentation()
        self._folder = parser.parse_args().out / store.lower().replace(" ", "-")
        self._events: list[TimingEvent] = []
        self.reranker = Reranker(
            scorer=Cached(Local("resift-small")), prior="auto", on_timing=self._events.append
        )
        self._start = time.perf_counter()

    def run(self, search: Search, answer: Search) -> None:
        """Ask the questions of the first stage, and of the framework's whole chain."""
        ingested = time.perf_counter() - self._start
        self._write_collection()
        self.reranker.warm_up()
        search("warm up")
        embedding.SECONDS.clear()
        searching, answers = [], {}
        with (self._folder / "run.txt").open("w", encoding="utf-8") as run:
            for query, text in _questions().items():
                start = time.perf_counter()
                found = search(text)
                searching.append(time.perf_counter() - start)
                for rank, name in enumerate(found, start=1):
                    run.write(f"{query} Q0 {name} {rank} {-rank} store\n")
        embedding_seconds = embedding.SECONDS.copy()
        self._events.clear()
        for query, text in _questions().items():
            answers[query] = list(answer(text))
        reranking = [event.total for event in self._events]
        embed = median(embedding_seconds) if embedding_seconds else 0.0
        self._report(answers, ingested, embed, median(searching) - embed, median(reranking))

    def _write_collection(self) -> None:
        """A folder as BEIR has it; judgements of what this Python doesn't document are left out."""
        (self._folder / "qrels").mkdir(parents=True, exist_ok=True)
        lines = [json.dumps({"_id": name, "text": text}) for name, text in self.passages.items()]
        (self._folder / "corpus.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        for name in ("queries.jsonl", "qrels/test.tsv"):
            lines = (QUESTIONS / name).read_text(encoding="utf-8").splitlines()
            if name.endswith(".tsv"):
                lines = lines[:1] + [x for x in lines[1:] if x.split("\t")[1] in self.passages]
            (self._folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _report(
        self,
        answers: dict[str, list[str]],
        ingested: float,
        embed: float,
        search: float,
        rerank: float,
    ) -> None:
        collection = read_collection(self._folder, depth=CANDIDATES)
        rankers = {self.store: None, "resift": self.reranker}
        report = evaluate(collection, rankers, timed=0, tried=0)
        report.write(self._folder)
        before, after = ((each.means or {})["nDCG@10"] for each in report.runs)
        compared = report.comparisons["nDCG@10"]["resift"].difference
        ranked = {
            query: [collection.found(query)[place].id for place in order[:KEPT]]
            for query, order in report.runs[1].run.orders.items()
        }
        outcome = Outcome(
            store=self.store,
            passages=len(self.passages),
            ingest_seconds=ingested,
            before=before,
            after=after,
            difference=(compared.mean, compared.low, compared.high),
            embed_ms=1000 * embed,
            search_ms=1000 * search,
            rerank_ms=1000 * rerank,
            same=sum(answers[query] == ranked[query] for query in ranked),
        )
        content = json.dumps(asdict(outcome), indent=2)
        (self._folder / "outcome.json").write_text(content + "\n", encoding="utf-8")
        sys.stdout.write(
            f"{self.store}: {outcome.passages} passages in {ingested:.1f} s, "
            f"{len(answers)} questions, {CANDIDATES} candidates\n"
            f"nDCG@10 {before:.3f} before, {after:.3f} after: {compared}\n"
            f"embed {outcome.embed_ms:.0f} ms, search {outcome.search_ms:.0f} ms, "
            f"rerank {outcome.rerank_ms:.0f} ms (medians)\n"
            f"{self._folder / 'report.html'}\n"
        )


def _questions() -> dict[str, str]:
    lines = (QUESTIONS / "queries.jsonl").read_text(encoding="utf-8").splitlines()
    return {each["_id"]: each["text"] for each in map(json.loads, lines)}
