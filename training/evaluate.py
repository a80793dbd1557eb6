"""nDCG@10 (linear gains) of rerankers on test collections in the BEIR layout.

    python evaluate.py <archive.tar.gz>... [--queries 60] [--systems first_stage exact int8]

Each archive holds `corpus.jsonl`, `queries.jsonl`, `qrels/test.tsv` and `run.bm25.txt`, the first
stage whose top 100 are reranked. A document's text is its title, a space and its text.
"""

import argparse
import json
import logging
import random
import shutil
import tarfile
import tempfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ir_measures
import onnx
from ir_measures import nDCG
from safetensors.numpy import load

from build_small import BUNDLED, CACHE, GRAPHS, fetch, unfitted
from late_interaction import build
from resift import Reranker
from scoring import load_tokenizer

SEED = 0

Rerank = Callable[[str, Sequence[str]], Sequence[float]]
log = logging.getLogger("evaluate")


@dataclass(frozen=True)
class Collection:
    """One test collection; `run` holds the first stage's scores by query and document."""

    documents: dict[str, str]
    queries: dict[str, str]
    relevance: list[ir_measures.Qrel]
    run: dict[str, dict[str, float]]


def read(archive: Path) -> Collection:
    """Read a `.tar.gz` archive."""
    with tarfile.open(archive) as tar:
        members = {Path(member.name).name: member for member in tar if member.isfile()}

        def lines(name: str) -> list[str]:
            file = tar.extractfile(members[name])
            assert file is not None
            return file.read().decode("utf-8").splitlines()

        corpus = [json.loads(line) for line in lines("corpus.jsonl")]
        queries = [json.loads(line) for line in lines("queries.jsonl")]
        judged = [line.split("\t") for line in lines("test.tsv")[1:]]
        ranked = [line.split() for line in lines("run.bm25.txt")]
    run: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for query, _, document, _, score, _ in ranked:
        run[query][document] = float(score)
    return Collection(
        {line["_id"]: f"{line.get('title', '')} {line['text']}".strip() for line in corpus},
        {line["_id"]: line["text"] for line in queries},
        [ir_measures.Qrel(query, document, int(grade)) for query, document, grade in judged],
        run,
    )


def ndcg(collection: Collection, queries: Sequence[str], rerank: Rerank | None) -> float:
    """Mean nDCG@10 over `queries`; `None` leaves the first stage's order."""
    scored: list[ir_measures.ScoredDoc] = []
    for query in queries:
        found = collection.run.get(query, {})
        scores: Sequence[float] = list(found.values())
        if rerank is not None and found:
            texts = [collection.documents[document] for document in found]
            scores = rerank(collection.queries[query], texts)
        scored += [
            ir_measures.ScoredDoc(query, document, float(score))
            for document, score in zip(found, scores, strict=True)
        ]
    chosen = set(queries)
    qrels = [qrel for qrel in collection.relevance if qrel.query_id in chosen]
    return float(ir_measures.calc_aggregate([nDCG @ 10], qrels, scored)[nDCG @ 10])


def system(name: str) -> Rerank | None:
    """One of `SYSTEMS`, ready to score."""
    if name == "first_stage":
        return None
    if name in GRAPHS:
        return _rerank(Reranker(precision=name, backend="onnx"))
    files = fetch(CACHE)
    if name == "exact":
        folder = Path(tempfile.mkdtemp())
        for file in ("config.json", "tokenizer.json"):
            shutil.copy(BUNDLED / file, folder)
        onnx.save(build(load(files["model.safetensors"]), unfitted(files)), folder / "model.onnx")
        return _rerank(Reranker(folder, backend="onnx"))
    import reference

    score = reference.ReferenceScorer(files, load_tokenizer(BUNDLED / "tokenizer.json"))
    return lambda query, documents: score([(query, text) for text in documents]).tolist()


def _rerank(reranker: Reranker) -> Rerank:
    return lambda query, documents: reranker.score(query, documents, normalization="none")


# "exact" has the published weights; those of "fp32" and "int8" are rounded, as shipped.
SYSTEMS = ("first_stage", "reference", "exact", *GRAPHS)


def main() -> None:
    """Measure every system on every archive; write JSON to `--out`, a table to the log."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("archives", nargs="+", type=Path)
    arguments.add_argument(
        "--systems", nargs="+", choices=SYSTEMS, default=("first_stage", "exact", *GRAPHS)
    )
    arguments.add_argument("--queries", type=int, help="measure a seeded sample of this many")
    arguments.add_argument("--out", type=Path)
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    systems = {name: system(name) for name in options.systems}
    results: dict[str, dict[str, float]] = {}
    for archive in options.archives:
        collection = read(archive)
        judged = {qrel.query_id for qrel in collection.relevance}
        queries = [query for query in collection.queries if query in judged]
        if options.queries and options.queries < len(queries):
            queries = random.Random(SEED).sample(queries, options.queries)
        name = archive.name.removesuffix(".tar.gz")
        results[name] = {"queries": len(queries)}
        for label, rerank in systems.items():
            results[name][label] = round(ndcg(collection, queries, rerank), 4)
            log.info(
                "%-12s %-12s %.4f (%d queries)", name, label, results[name][label], len(queries)
            )
        if options.out:
            options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
