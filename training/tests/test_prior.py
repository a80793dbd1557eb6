"""The fit of the order's weight, and what it is fitted on."""

from pathlib import Path

import numpy as np
import pytest

import by_text
import prior
import shipped_encoder
import stages
from files import BUNDLED
from golden import PAIRS
from prior import Listed, Scored
from resift import Prior, Reranker
from resift.text.tokenizer import PairTokenizer
from stages import Stage

LENGTH = 40


def lists(weight: float, count: int, seed: int = 0) -> list[Scored]:
    """Each with one relevant passage, drawn by logit and place as `weight` says."""
    rng = np.random.default_rng(seed)
    stage = Stage(frozenset({"made up"}))
    found = []
    for number in range(count):
        logits = rng.normal(size=LENGTH)
        chances = np.exp(2 * (logits + Prior(place_weight=weight)(range(LENGTH))))
        own = int(rng.choice(LENGTH, p=chances / chances.sum()))
        found.append(
            Scored(Listed("squad", stage, number, own, list(range(LENGTH))), np.array(logits))
        )
    return found


@pytest.mark.parametrize("weight", [0.2, 0.7])
def test_a_weight_is_found_again(weight: float) -> None:
    drawn = lists(weight, 1500)
    assert prior.fit(drawn) == pytest.approx(weight, abs=0.06)
    without, true, too_much = (prior.mean(drawn, each)[0] for each in (0, weight, 5))
    assert true > without
    assert true > too_much


def test_hard_lists_do_not_move_the_weight_but_over_all_lists_at_once() -> None:
    drawn = lists(0.5, 400)
    rng = np.random.default_rng(3)
    shifted = [Scored(each.listed, each.logits + rng.normal(0, 3)) for each in drawn]
    assert prior.fit(shifted) == pytest.approx(prior.fit(drawn))
    assert prior.fit_at_once(shifted) > 2 * prior.fit_at_once(drawn)


def test_measures_are_of_the_first_stage_the_model_and_both() -> None:
    listed = Listed("squad", Stage(frozenset({"bm25"})), 0, 7, [5, 7, 6])
    scored = Scored(listed, np.array([-1.0, 0.4, 0.5]))
    assert scored.measures(None)[1] == pytest.approx(1 / 2)
    assert scored.measures(0)[1] == pytest.approx(1 / 2)
    # The place of the second takes log(2) away, that of the third log(3).
    assert scored.measures(0.4)[1] == pytest.approx(1)
    assert scored.measures(10)[1] == pytest.approx(1 / 2)
    assert scored.measures(10)[0] == pytest.approx(1 / np.log2(3))


def test_every_first_stage_shares_no_retriever_with_those_of_its_fit() -> None:
    for stage in stages.STAGES:
        others = [each for each in stages.STAGES if not each.retrievers & stage.retrievers]
        assert others
        assert stage not in others


def test_fusion_counts_ranks_alone() -> None:
    assert stages.best(np.array([0.5, 2, 0.5, 3]), 3) == [3, 1, 0]
    # Two in both lists, then those of rank 1, 2 and 3 in one.
    assert stages.fused([[4, 1, 2], [3, 2, 1]], 10) == [1, 2, 4, 3]
    assert stages.fused([[4, 1, 2], [3, 2, 1]], 1) == [1]
    assert stages.fused([[], [3, 2]], 5) == [3, 2]


@pytest.mark.parametrize("model", ["resift-small", "resift-nano"])
def test_logits_by_text_are_those_of_the_engine(model: str) -> None:
    folder = BUNDLED / model
    tokenizer = PairTokenizer(folder / "tokenizer.json", pad_token_id=0)
    texts = {str(number): (query, [text]) for number, (query, text) in enumerate(PAIRS[:12])}
    # A document that is cut, beside a query.
    texts["long"] = ("where is it", ["The museum is closed on Mondays. " * 200])
    shipped = shipped_encoder.read(folder, "fp32")
    encoder = by_text.Encoder(shipped.graph, tokenizer, threads=1)
    parts = by_text.score(encoder, by_text.tokenize(tokenizer, texts), shipped.worth)
    reranker = Reranker(model, backend="onnx", precision="fp32", normalization="none")
    for name, (query, documents) in texts.items():
        assert shipped.logits(parts[name]) == pytest.approx(
            reranker.score(query, documents), abs=1e-4
        )


def test_another_graph_is_refused(tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info("logits", onnx.TensorProto.FLOAT, ["batch"])
    node = onnx.helper.make_node("Identity", ["input"], ["logits"])
    given = onnx.helper.make_tensor_value_info("input", onnx.TensorProto.FLOAT, ["batch"])
    graph = onnx.helper.make_graph([node], "other", [given], [value])
    onnx.save(onnx.helper.make_model(graph), str(tmp_path / "model_int8.onnx"))
    with pytest.raises(ValueError, match="0 tables of one number a word"):
        shipped_encoder.read(tmp_path)
