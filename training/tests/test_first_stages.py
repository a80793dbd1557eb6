"""benchmarks/first_stages, on made-up collections."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import by_text
from cells import Pair, cell
from collection import Collection
from drawing import draw
from encoders import PUBLISHED, SHIPPED, Formula, Model
from files import BUNDLED
from lists import BM25, Logits, first_stages
from matrices import compute
from resift import Reranker
from resift.text.tokenizer import PairTokenizer
from tables import tables

rng = np.random.default_rng(0)
VECTORS = rng.normal(size=(40_000, 16)).astype(np.float32)
TOKENIZER = PairTokenizer(BUNDLED / "resift-small/tokenizer.json", pad_token_id=0)
LONG = "The museum is closed on Mondays, and the garden is open. " * 60


def encode(ids: NDArray[np.int32]) -> NDArray[np.float32]:
    """Vectors that depend on the token and on the one before."""
    whole = np.array([101, *ids, 102])
    return np.asarray(VECTORS[whole] + 0.3 * VECTORS[np.roll(whole, 1)], np.float32)


def collection(texts: Iterable[str], queries: Iterable[str]) -> Collection:
    documents = {f"d{number}": text for number, text in enumerate(texts)}
    asked = {f"q{number}": text for number, text in enumerate(queries)}
    grades = {query: {f"d{number % len(documents)}": 1} for number, query in enumerate(asked)}
    run = {query: {document: -float(n) for n, document in enumerate(documents)} for query in asked}
    return Collection("made up", documents, asked, grades, run, "digest")


TEXTS = ["Bread rises because of yeast.", "", LONG, "Sort a dictionary by value with sorted."]
FOUND = collection(TEXTS, ["why does bread rise", "sort a dictionary", "is the museum open today"])


def test_matrices_have_what_lists_of_pairs_have() -> None:
    worth = rng.uniform(0.5, 1, 40_000).astype(np.float32)
    matrices = compute(FOUND, TOKENIZER, encode, pooling="mean", worth=worth)
    assert matrices.short.tolist() == [True, True, False, True]
    lists = {query: (FOUND.queries[query], FOUND.texts(query)) for query in FOUND.queries}
    parts = by_text.score(encode, by_text.tokenize(TOKENIZER, lists), worth)
    for row, query in enumerate(FOUND.queries):
        kept = matrices.short
        assert matrices.cosine[row, kept] == pytest.approx(parts[query].cosine[kept], abs=1e-5)
        assert matrices.match[row, kept] == pytest.approx(parts[query].match[kept], abs=1e-5)
    assert matrices.pooled == pytest.approx(matrices.cosine)
    firsts = compute(FOUND, TOKENIZER, encode, pooling="cls").pooled
    assert not np.allclose(firsts, matrices.pooled)


def test_long_documents_get_the_logits_of_the_engine(tmp_path: Path) -> None:
    model = Model("resift-nano", tmp_path, threads=1)
    logits = Logits(model, FOUND, tmp_path)
    everything: dict[str, list[int]] = {query: [2, 0, 1, 3] for query in FOUND.queries}
    before = {query: logits.of(query, [2])[0] for query in everything}
    reranker = Reranker("resift-nano", backend="onnx", precision="int8", normalization="none")
    for _ in range(2):  # The second is read from the cache.
        logits = Logits(model, FOUND, tmp_path)
        logits.cut_as_pairs([everything], tmp_path)
        for query, listed in everything.items():
            expected = reranker.score(FOUND.queries[query], [TEXTS[place] for place in listed])
            assert logits.of(query, listed) == pytest.approx(expected, abs=0.02)
            assert logits.of(query, [2])[0] != before[query]


def test_first_stages_are_lists_of_words_of_vectors_and_of_both() -> None:
    scores = np.array([[0.1, 0.4, 0.2, 0.3]] * 3, np.float32)
    found = first_stages(FOUND, dict.fromkeys(PUBLISHED, scores))
    name = PUBLISHED["minilm"]
    assert found[BM25]["q0"] == [0, 1, 2, 3]
    assert found[name]["q0"] == [1, 3, 2, 0]
    assert found[f"{BM25} + {name}"]["q0"] == [1, 0, 3, 2]
    assert len(found) == 1 + 2 * len(PUBLISHED)


def judged(count: int, useful: float) -> tuple[Collection, dict[str, Any], dict[str, Any]]:
    """Queries with one relevant document of ten, which logits tell by `useful`."""
    found = collection((f"text {n}" for n in range(10)), (f"query {n}" for n in range(count)))
    logits, lists = {}, {}
    for number, query in enumerate(found.queries):
        relevant = number % 10
        order = rng.permutation(10)
        # In the first half of the places.
        at = int(rng.integers(5))
        swap = int(np.flatnonzero(order == relevant)[0])
        order[[at, swap]] = order[[swap, at]]
        lists[query] = order.tolist()
        logits[query] = (rng.normal(size=10) + useful * (order == relevant)).astype(np.float32)
    return found, lists, logits


def test_a_cell_says_what_weights_do() -> None:
    pair = Pair(*judged(400, 1.0))
    found = cell(pair, 0.25)
    assert found["0"]["kept"] == 1
    assert found["0"]["mean"] > found["first_stage"]
    assert found["fitted"]["mean"] > found["0"]["mean"] > found["first_stage"]
    assert found["fitted"]["over_reranker"][0] > 0
    first, second = found["fitted_weights"]
    assert 0.1 < first < 2
    assert first == pytest.approx(second, rel=0.5)
    assert pair.with_weight(1e9).mean() == pytest.approx(found["first_stage"], abs=1e-4)
    gain = found["card"]["mean"] - found["first_stage"]
    assert found["card"]["kept"] == pytest.approx(
        gain / (found["0"]["mean"] - found["first_stage"]), abs=0.01
    )


def test_a_reranker_that_knows_less_than_nothing_has_no_weight() -> None:
    found = cell(Pair(*judged(60, -3.0)), None)
    assert "fitted" not in found
    assert "card" not in found
    assert found["0"]["kept"] is None
    assert found["0"]["over_first_stage"][1] < 0


def test_results_are_written_and_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    good, bad = cell(Pair(*judged(60, 2.0)), 0.25), cell(Pair(*judged(60, -3.0)), 0.25)
    models = (*SHIPPED, *PUBLISHED)
    results = {
        "weights": dict.fromkeys(models, 0.25),
        "collections": {
            "made up": {
                "queries": 60,
                "first_stages": {
                    BM25: dict.fromkeys(models, good),
                    "other": dict.fromkeys(models, bad),
                },
            }
        },
    }
    text = tables(results)
    assert "1 of 2; 1.00, 1.00" in text
    assert "card: 0.25" in text
    rows = [line for line in text.splitlines() if "| other |" in line]
    assert len(rows) == len(SHIPPED)
    assert all("▼" in row and "none fits" in row for row in rows)
    draw(results, tmp_path / "plot.svg")
    assert "after other" in (tmp_path / "plot.svg").read_text(encoding="utf-8")


def test_logits_are_the_formula() -> None:
    one = np.ones((2, 3), np.float32)
    assert Formula(0.5, 4, -1).logits(one, 2 * one) == pytest.approx(np.full((2, 3), 9))
