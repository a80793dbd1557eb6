"""The bundled model: golden scores, and what the contract promises for float32."""

from __future__ import annotations

import json
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from resift import Reranker, UnsupportedModelError
from resift.models import BUNDLED
from resift.testing import TEXTS, texts_strategy

FOLDER = BUNDLED / "resift-small"
GOLDEN: dict[str, Any] = json.loads((FOLDER / "golden.json").read_text())
CARD: dict[str, Any] = json.loads((FOLDER / "card.json").read_text())

reranker = Reranker(normalization="none")


def test_golden_belongs_to_these_weights() -> None:
    digest = sha256((FOLDER / "model.onnx").read_bytes()).hexdigest()
    assert digest == GOLDEN["model_sha256"] == CARD["artifacts"][0]["sha256"]
    tokenizer = sha256((FOLDER / "tokenizer.json").read_bytes()).hexdigest()
    assert tokenizer == CARD["tokenizer_sha256"]


@pytest.mark.parametrize("pair", GOLDEN["pairs"], ids=lambda pair: pair["query"][:30])
def test_golden_logits(pair: dict[str, Any]) -> None:
    (logit,) = reranker.score(pair["query"], [pair["document"]])
    assert logit == pytest.approx(pair["logit"], abs=GOLDEN["tolerance"])


def test_golden_logits_in_company() -> None:
    requests = [(pair["query"], [pair["document"], *TEXTS]) for pair in GOLDEN["pairs"]]
    for pair, ranking in zip(GOLDEN["pairs"], reranker.rank_many(requests), strict=True):
        (logit,) = (result.logit for result in ranking if result.index == 0)
        assert logit == pytest.approx(pair["logit"], abs=GOLDEN["tolerance"])


@settings(max_examples=20, deadline=None)
@given(texts=texts_strategy, budget=st.integers(1, 2048))
def test_neighbours_batches_and_padding_change_nothing(texts: list[str], budget: int) -> None:
    alone = [reranker.score("sort a dictionary", [text])[0] for text in texts]
    batched = Reranker(max_batch_tokens=budget, normalization="none")
    together = batched.score("sort a dictionary", [*texts, "bread " * 300])[:-1]
    assert together == pytest.approx(alone, abs=CARD["neighbour_tolerance"])


@pytest.mark.parametrize("query", ["\x00", "\u200b", "\ufeff?", "[SEP]", "[CLS] [SEP] [PAD]"])
def test_queries_without_words_give_finite_logits(query: str) -> None:
    assert len(reranker.rank(query, ["", "text", "[SEP] [SEP]"])) == 3


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "model"))


def test_wrong_golden_pairs_are_refused(copied: Path) -> None:
    golden = json.loads((copied / "golden.json").read_text())
    for pair in golden["pairs"]:
        pair["logit"] += 2 * golden["tolerance"]
    (copied / "golden.json").write_text(json.dumps(golden))
    with pytest.raises(UnsupportedModelError, match="golden"):
        Reranker(copied).warm_up()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model_sha256": "x", "tolerance": "y"}'])
def test_a_broken_golden_file_is_refused(copied: Path, content: str) -> None:
    (copied / "golden.json").write_text(content)
    with pytest.raises(UnsupportedModelError, match=r"golden\.json"):
        Reranker(copied).warm_up()


def test_golden_pairs_of_other_weights_are_refused(copied: Path) -> None:
    golden = {**GOLDEN, "model_sha256": "0" * 64}
    (copied / "golden.json").write_text(json.dumps(golden))
    with pytest.raises(
        UnsupportedModelError, match=r"golden\.json is for weights with the sha256 0"
    ):
        Reranker(copied).warm_up()


def test_relevance_comes_first() -> None:
    ranking = reranker.rank("how do I sort a dictionary by value", TEXTS)
    assert {result.index for result in ranking[:2]} == {0, 2}
    assert ranking[0].logit > 0 > ranking[-1].logit
