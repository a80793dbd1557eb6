"""Our models, bundled and in packages: golden scores, and the contract of their precisions."""

from __future__ import annotations

import json
import shutil
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import numpy_helper
from packages import BUNDLED, MODELS

from resift import Reranker, SelfTestError, UnsupportedModelError
from resift.backends.onnx import ort
from resift.export.int8 import pair_sums
from resift.machine import processor
from resift.testing import TEXTS, texts_strategy
from resift.text.batch import Batch

FOLDER = BUNDLED / "resift-small"
GOLDEN: dict[str, Any] = json.loads((FOLDER / "golden.json").read_text(encoding="utf-8"))
CARD: dict[str, Any] = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))

reranker = Reranker(precision="fp32", normalization="none")


class Bundled(NamedTuple):
    """The files beside a model's graphs."""

    folder: Path
    card: dict[str, Any]
    golden: dict[str, Any]

    @property
    def tolerances(self) -> dict[str, float]:
        found = {each["precision"]: each.get("tolerance") for each in self.card["artifacts"]}
        return {**found, "fp32": self.golden["tolerance"]}


@pytest.fixture(params=MODELS)
def bundled(request: pytest.FixtureRequest) -> Bundled:
    folder = MODELS[request.param]
    card, golden = (
        json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("card", "golden")
    )
    return Bundled(folder, card, golden)


@cache
def one_by_one(model: Path, precision: str) -> Reranker:
    return Reranker(model, precision=precision, max_batch_tokens=1, normalization="none")


@pytest.fixture(params=["int8", "int8-narrow", "fp32"])
def precision(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if reason := processor().lacking("onnx", name):
        pytest.skip(reason)
    return name


def test_the_card_has_the_digests(bundled: Bundled) -> None:
    folder = bundled.folder
    artifacts = {artifact["precision"]: artifact for artifact in bundled.card["artifacts"]}
    assert list(artifacts) == ["int8", "int8-narrow", "fp32"]
    # Nobody downloads weights twice.
    assert len({each["data_sha256"] for each in artifacts.values()}) == 1
    for artifact in artifacts.values():
        for file, digest in (("file", "sha256"), ("data_file", "data_sha256")):
            content = (folder / artifact[file]).read_bytes()
            assert sha256(content).hexdigest() == artifact[digest]
    assert bundled.golden["model_sha256"] == artifacts["fp32"]["sha256"]
    tokenizer = sha256((folder / "tokenizer.json").read_bytes()).hexdigest()
    assert tokenizer == bundled.card["tokenizer_sha256"]


def test_int8_weights_have_no_minus_128(bundled: Bundled) -> None:
    model = onnx.load(bundled.folder / "model_int8.onnx")
    values = {each.name: each for each in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type == "MatMulIntegerToFloat"]
    assert products
    for node in products:
        weight = numpy_helper.to_array(values[node.input[1]])
        # ARM64 without dot products cuts off sums of (-128) × (-128).
        assert weight.dtype == np.int8
        assert weight.min() == -127


def test_models_are_small() -> None:
    sizes = {
        name: sum(file.stat().st_size for file in folder.iterdir()) / 1e6
        for name, folder in MODELS.items()
    }
    most = {"resift-nano": 8, "resift-small": 25, "resift-base": 36, "resift-multilingual": 45}
    assert {name for name, size in sizes.items() if size > most[name]} == set()


def test_the_default_precision_is_the_processors() -> None:
    ranking = Reranker().rank("sort", ["sort"])
    assert ranking.precision == ("int8-narrow" if processor().int8_saturates() else "int8")
    assert ranking.status == "complete"


def test_golden_logits_are_reproduced(bundled: Bundled, precision: str) -> None:
    chosen = Reranker(bundled.folder, precision=precision, normalization="none")
    requests = [(pair["query"], [pair["document"]]) for pair in bundled.golden["pairs"]]
    found = [scores[0] for scores in chosen.score_many(requests)]
    wanted = [pair["logit"] for pair in bundled.golden["pairs"]]
    assert found == pytest.approx(wanted, abs=bundled.tolerances[precision])


@pytest.mark.parametrize("name", MODELS)
def test_no_sum_of_two_narrow_products_needs_more_than_16_bits(name: str) -> None:
    weights = _narrow_weights(MODELS[name])
    assert weights
    for weight in weights:
        assert 255 * pair_sums(weight).max() <= 2**15 - 1
        # Otherwise precision would be thrown away.
        assert np.median(pair_sums(weight)) >= 126


def _narrow_weights(folder: Path) -> list[NDArray[np.int8]]:
    """The int8 matrices as ONNX Runtime has them once the graph is loaded."""
    model = onnx.load(folder / "model_int8_narrow.onnx")
    products = [node for node in model.graph.node if node.op_type == "MatMulIntegerToFloat"]
    names = [node.input[1] for node in products]
    kinds = [onnx.TensorProto.INT8] * len(names)
    del model.graph.output[:]
    model.graph.output.extend(
        onnx.helper.make_tensor_value_info(name, kind, None)
        for name, kind in zip(names, kinds, strict=True)
    )
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    some = {each.name: np.ones((1, 4), dtype=np.int64) for each in session.get_inputs()}
    return list(session.run(names, some))


def test_golden_logits_are_reproduced_among_other_documents(bundled: Bundled) -> None:
    pairs = bundled.golden["pairs"]
    requests = [(pair["query"], [pair["document"], *TEXTS]) for pair in pairs]
    chosen = Reranker(bundled.folder, precision="fp32", normalization="none")
    for pair, ranking in zip(pairs, chosen.rank_many(requests), strict=True):
        (logit,) = (result.logit for result in ranking if result.index == 0)
        assert logit == pytest.approx(pair["logit"], abs=bundled.golden["tolerance"])


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(texts=texts_strategy, budget=st.integers(1, 2048))
def test_neighbours_batches_and_padding_change_nothing(
    bundled: Bundled, precision: str, texts: list[str], budget: int
) -> None:
    alone = one_by_one(bundled.folder, precision).score("sort a dictionary", texts)
    batched = Reranker(
        bundled.folder, precision=precision, max_batch_tokens=budget, normalization="none"
    )
    together = batched.score("sort a dictionary", [*texts, "bread " * 300])[:-1]
    assert together == pytest.approx(alone, abs=bundled.card["neighbour_tolerance"])


def test_int8_gets_no_padding(forwarded: list[Batch]) -> None:
    texts = [*TEXTS, *(f"{text} once more" for text in TEXTS), *(text[::-1] for text in TEXTS)]
    ranking = Reranker(backend="onnx", precision="int8").rank("sort a dictionary", texts)
    assert all(batch.attention_mask.all() for batch in forwarded)
    assert max(len(batch.input_ids) for batch in forwarded) > 1
    assert ranking.counts.padded_tokens == ranking.counts.tokens


@pytest.mark.parametrize(
    ("name", "estimated_by"), [("resift-small", "resift-nano"), ("resift-base", "resift-small")]
)
def test_the_margin_was_fitted_with_the_estimator_that_is_here(
    name: str, estimated_by: str
) -> None:
    own, card = (
        json.loads((MODELS[each] / "card.json").read_text(encoding="utf-8"))
        for each in (name, estimated_by)
    )
    estimator = own["estimator"]
    assert estimator["model"] == estimated_by
    fitted = {key: estimator[key] for key in ("sha256", "data_sha256")}
    # Where this fails, a model was built anew: run training/make/early.py.
    assert fitted.items() <= card["artifacts"][0].items()
    assert card["tokenizer_sha256"] == own["tokenizer_sha256"]
    assert estimator["margin"] > 0


def test_pruning_keeps_what_is_relevant(precision: str) -> None:
    others = [f"{text} Number {n}." for n in range(12) for text in TEXTS[4:]]
    texts = [*others, *TEXTS[:4]]
    reranker, query = Reranker(precision=precision), "how do I sort a dictionary by value"
    ranking = reranker.rank(query, texts, top_n=3, prune="auto")
    best = reranker.rank(query, texts, top_n=3)
    assert [result.index for result in ranking] == [result.index for result in best]
    assert ranking[0].index == len(others)
    assert ranking.counts.pruned_documents > len(others) / 3
    assert ranking.status == "complete"


@pytest.mark.parametrize("query", ["\x00", "\u200b", "\ufeff?", "[SEP]", "[CLS] [SEP] [PAD]"])
def test_queries_without_words_give_finite_logits(query: str) -> None:
    assert len(reranker.rank(query, ["", "text", "[SEP] [SEP]"])) == 3


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FOLDER, tmp_path / "model"))


def test_wrong_golden_pairs_are_refused(copied: Path) -> None:
    for pair in (changed := json.loads((copied / "golden.json").read_text(encoding="utf-8")))[
        "pairs"
    ]:
        pair["logit"] += 2 * GOLDEN["tolerance"]
    (copied / "golden.json").write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(SelfTestError, match="golden"):
        Reranker(copied, precision="fp32").warm_up()
    for pair in changed["pairs"]:
        pair["logit"] += 1.5 * CARD["tolerance"]
    (copied / "golden.json").write_text(json.dumps(changed), encoding="utf-8")
    with pytest.raises(UnsupportedModelError, match="golden"):
        Reranker(copied).warm_up()


def test_altered_weights_beside_a_graph_are_refused(copied: Path) -> None:
    path = copied / "model.onnx.data"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UnsupportedModelError, match=r"model\.onnx\.data is damaged"):
        Reranker(copied).warm_up()


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"model_sha256": "x", "tolerance": "y"}'])
def test_a_broken_golden_file_is_refused(copied: Path, content: str) -> None:
    (copied / "golden.json").write_text(content, encoding="utf-8")
    with pytest.raises(UnsupportedModelError, match=r"golden\.json"):
        Reranker(copied).warm_up()


def test_golden_pairs_of_other_weights_are_refused(copied: Path) -> None:
    golden = {**GOLDEN, "model_sha256": "0" * 64}
    (copied / "golden.json").write_text(json.dumps(golden), encoding="utf-8")
    with pytest.raises(
        UnsupportedModelError, match=r"golden\.json is for weights with the sha256 0"
    ):
        Reranker(copied).warm_up()


def test_relevance_comes_first(bundled: Bundled) -> None:
    ranking = Reranker(bundled.folder).rank("how do I sort a dictionary by value", TEXTS)
    assert ranking[0].index == 0
    if bundled.folder.name == "resift-small":
        assert {result.index for result in ranking[1:3]} == {2, 3}
    assert {result.index for result in ranking[-3:]} == {1, 4, 7}
    best, worst = ranking[0].logit, ranking[-1].logit
    assert best is not None
    assert worst is not None
    assert best > 0 > worst
