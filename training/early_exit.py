"""What early exit costs and saves on test collections, for the fits that `early.py` wrote.

    python early_exit.py fits.json <archive.tar.gz>... [--queries 40]

For `top_n` of 5 and of 10: nDCG@5 and nDCG@10 of what is returned, and the time as a share of the
whole model's for all documents. Times are CPU seconds of the engine's own calls on two threads,
taken in turns: the estimates', and the whole model's times the share of tokens that it still gets.
The collections are for this report alone.
"""

import argparse
import json
import logging
import math
import shutil
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ir_measures
import numpy as np
import onnx
from ir_measures import nDCG
from numpy.typing import NDArray

from build import BUNDLED, GRAPHS, WEIGHTS
from collection import Collection, read
from early import Fit
from resift import Reranker
from resift.pruning import survivors
from resift.tokenization import PairTokenizer
from scoring import WINDOW
from shipped import first_layers

TOP_NS = (5, 10)
WHOLE = Fit(layers=0, slope=1, intercept=0, margin=math.inf, lost=0, kept=1)

log = logging.getLogger("early_exit")


@dataclass(frozen=True)
class Scored:
    """One query's candidates, `[documents]` each; layers of 0 stand for the whole model."""

    query: str
    documents: list[str]
    tokens: NDArray[np.int64]
    logits: dict[int, NDArray[np.float32]]
    seconds: dict[int, float]


def scorers(layers: list[int], folder: Path) -> dict[int, Reranker]:
    """The whole model, and one that ends after each number of layers, whose logit is relevance."""
    found = {0: Reranker(BUNDLED, backend="onnx", precision="int8", threads=2)}
    for number in layers:
        model = folder / str(number)
        model.mkdir()
        for name in ("config.json", "tokenizer.json", WEIGHTS):
            shutil.copy(BUNDLED / name, model)
        onnx.save(first_layers(BUNDLED / GRAPHS["int8"], number), model / "model.onnx")
        card = json.loads((BUNDLED / "card.json").read_text(encoding="utf-8"))
        artifact = {"format": "onnx", "precision": "int8", "file": "model.onnx"}
        (model / "card.json").write_text(json.dumps(card | {"artifacts": [artifact]}))
        found[number] = Reranker(model, backend="onnx", precision="int8", threads=2)
    for reranker in found.values():
        reranker.warm_up()
    return found


def score(collection: Collection, queries: list[str], models: dict[int, Reranker]) -> list[Scored]:
    """Every query's candidates by every model, in turns."""
    tokenizer = PairTokenizer(BUNDLED / "tokenizer.json", pad_token_id=0)
    scored = []
    for query in queries:
        text, documents = collection.queries[query], collection.candidates(query)
        texts = collection.texts(query)
        cut = tokenizer.tokenize(
            text, texts, max_length=WINDOW, long_documents="truncate"
        ).documents
        logits, seconds = {}, {}
        for number, model in models.items():
            start = time.process_time()
            found = model.score(text, texts, normalization="none")
            seconds[number] = time.process_time() - start
            logits[number] = np.array(found, np.float32)
        tokens = np.array([len(document.windows[0]) for document in cut])
        scored.append(Scored(query, documents, tokens, logits, seconds))
    return scored


def pruned(each: Scored, top_n: int, fit: Fit) -> NDArray[np.bool_]:
    """The documents that get the whole model."""
    estimates = np.float32(fit.slope) * each.logits[fit.layers] + np.float32(fit.intercept)
    return survivors(estimates, range(len(estimates)), top_n, fit.margin)


def report(collection: Collection, scored: list[Scored], fits: list[Fit]) -> list[dict[str, Any]]:
    """One row for each `top_n` and each fit, the first without any."""
    rows = []
    chosen = {each.query for each in scored}
    qrels = [
        ir_measures.Qrel(query, document, grade)
        for query in chosen
        for document, grade in collection.grades[query].items()
    ]
    whole = sum(each.seconds[0] for each in scored)
    for top_n in TOP_NS:
        for fit in [WHOLE, *fits]:
            found, seconds, left = [], 0.0, 0
            for each in scored:
                kept = pruned(each, top_n, fit)
                logits = np.where(kept, each.logits[0], -np.inf)
                for at in np.argsort(-logits, kind="stable")[:top_n]:
                    logit = float(logits[at])
                    found.append(ir_measures.ScoredDoc(each.query, each.documents[at], logit))
                share = float(each.tokens[kept].sum() / max(1, each.tokens.sum()))
                seconds += each.seconds[0] * share + (each.seconds[fit.layers] if fit.layers else 0)
                left += int(kept.sum())
            measure = nDCG @ top_n
            rows.append(
                {
                    "top_n": top_n,
                    "layers": fit.layers,
                    "lost": fit.lost,
                    "margin": fit.margin,
                    "ndcg": round(ir_measures.calc_aggregate([measure], qrels, found)[measure], 4),
                    "kept": round(left / sum(len(each.tokens) for each in scored), 3),
                    "time": round(seconds / whole, 3),
                }
            )
    return rows


def main() -> None:
    """Measure every fit on every archive; write JSON to `--out`, a table to the log."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("fits", type=Path)
    arguments.add_argument("archives", nargs="+", type=Path)
    arguments.add_argument("--queries", type=int, default=40, help="a seeded sample of this many")
    arguments.add_argument("--out", type=Path)
    options = arguments.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")

    fits = [Fit(**row) for row in json.loads(options.fits.read_text(encoding="utf-8"))]
    results: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        models = scorers(sorted({fit.layers for fit in fits}), Path(folder))
        for archive in options.archives:
            collection = read(archive)
            queries = collection.sample(options.queries)
            scored = score(collection, queries, models)
            name = archive.name.removesuffix(".tar.gz")
            results[name] = report(collection, scored, fits)
            for row in results[name]:
                log.info("%-10s %s", name, " ".join(f"{k}={v}" for k, v in row.items()))
            if options.out:
                options.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
