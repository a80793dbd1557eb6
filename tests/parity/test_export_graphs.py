"""The changes that ``resift export`` makes to graphs, one at a time."""

from __future__ import annotations

import json
import logging
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from parity.test_export import (
    LAYERS,
    attention_lengths,
    engine_logits,
    make,
    session_of,
    source_logits,
)
from parity.texts import DOCUMENTS

import resift.export.command as exporting
from resift.export import graph
from resift.export.calibration import built_in
from resift.export.first_token import first_token_only
from resift.export.int8 import Product, Rounding, products, quantise, row_int8
from resift.export.libraries import Libraries
from resift.export.source import Source
from resift.export.verify import Scorer
from resift.export.words import words_int8
from resift.text.batch import Batch

torch: Any = pytest.importorskip("torch")
transformers: Any = pytest.importorskip("transformers")
onnx: Any = pytest.importorskip("onnx")
# The package has a function of that name.
smoothing: Any = import_module("resift.export.smoothing")

Floats = NDArray[np.float32]
MEAN_POOLING = "modernbert-2"


@pytest.fixture(scope="module")
def libraries() -> Libraries:
    return Libraries.load()


@pytest.fixture(scope="module")
def bert(libraries: Libraries, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return traced(libraries, "bert", tmp_path_factory.mktemp("bert"))


def traced(libraries: Libraries, name: str, folder: Path, **changes: Any) -> Any:
    source = Source.load(libraries, make(name, folder, **changes))
    return graph.trace(libraries, source, fuse=True)


def copy(model: Any) -> Any:
    new = onnx.ModelProto()
    new.CopyFrom(model)
    return new


def run(model: Any, feed: dict[str, Any]) -> Floats:
    session = session_of(model)
    names = [node.name for node in session.get_inputs()]
    output: Floats = session.run(None, {name: feed[name] for name in names})[0]
    return output


def batch(pairs: int, length: int) -> dict[str, Any]:
    random = np.random.default_rng(length)
    lengths = random.integers(1, length + 1, pairs)
    lengths[0] = length
    mask = np.arange(length) < lengths[:, None]
    return {
        "input_ids": random.integers(5, 90, (pairs, length)),
        "attention_mask": mask.astype(np.int64),
        "token_type_ids": random.integers(0, 2, (pairs, length)),
    }


def kinds(model: Any) -> list[str]:
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize(
    "name", ["distilbert", "electra-2", "roberta", "camembert", "ernie", "modernbert", "albert"]
)
@pytest.mark.parametrize("layers", [1, 3])
def test_the_last_layer_runs_for_the_first_token_alone(
    name: str, layers: int, libraries: Libraries, tmp_path: Path
) -> None:
    depth = {"num_hidden_layers": layers}
    if name == "distilbert":
        depth["n_layers"] = layers
    model = traced(libraries, name, tmp_path, **depth)
    whole = copy(model)
    assert first_token_only(libraries, model)
    assert attention_lengths(copy(model)) == [9] * (layers - 1) + [1]
    for kind in ("Attention", "MatMul"):
        assert kinds(model).count(kind) == kinds(whole).count(kind)
    for pairs, length in ((1, 1), (1, 30), (5, 7), (4, 48)):
        feed = batch(pairs, length)
        np.testing.assert_allclose(run(model, feed), run(whole, feed), rtol=0, atol=1e-5)


def test_heads_of_all_tokens_are_left_unchanged(libraries: Libraries, tmp_path: Path) -> None:
    model = traced(libraries, MEAN_POOLING, tmp_path)
    whole = copy(model)
    assert not first_token_only(libraries, model)
    assert model == whole
    card = exporting.export(tmp_path, tmp_path / "out")
    assert (card["attention"], card["last_layer"]) == ("fused", "all tokens")


def pool_of(model: Any) -> tuple[int, Any]:
    (found,) = [
        (at, node)
        for at, node in enumerate(model.graph.node)
        if node.op_type == "Gather" and graph.attribute(node, "axis", 0) == 1
    ]
    return found


def reads_the_second_token(model: Any) -> None:
    at, node = pool_of(model)
    index = onnx.numpy_helper.from_array(np.array(1))
    model.graph.node.insert(at, onnx.helper.make_node("Constant", [], ["second"], value=index))
    node.input[1] = "second"


def has_an_unknown_operator(model: Any) -> None:
    at, node = pool_of(model)
    model.graph.node.insert(at, onnx.helper.make_node("Round", [node.input[0]], ["round"]))
    node.input[0] = "round"


def reads_the_mean_too(model: Any) -> None:
    _, node = pool_of(model)
    model.graph.output[0].name = "both"
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 2]), "axes"))
    mean = onnx.helper.make_node("ReduceMean", [node.input[0], "axes"], ["mean"], keepdims=0)
    rank = onnx.helper.make_node("Unsqueeze", ["mean", "minus"], ["column"])
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([-1]), "minus"))
    both = onnx.helper.make_node("Add", ["logits", "column"], ["both"])
    model.graph.node.extend([mean, rank, both])


def is_causal(model: Any) -> None:
    last = [node for node in model.graph.node if node.op_type == "Attention"][-1]
    last.attribute.append(onnx.helper.make_attribute("is_causal", 1))


def norms_all_tokens_at_once(model: Any) -> None:
    last = [node for node in model.graph.node if node.op_type == "LayerNormalization"][-1]
    (axis,) = [each for each in last.attribute if each.name == "axis"]
    axis.i = 1
    for at in (1, 2):
        last.input[at] = f"wide{at}"
        wide = np.ones((7, 32), dtype=np.float32)
        model.graph.initializer.append(onnx.numpy_helper.from_array(wide, f"wide{at}"))


def swaps_sizes(model: Any) -> None:
    shapes = [node for node in model.graph.node if node.op_type == "Concat"]
    last = shapes[-1]
    last.input[0], last.input[1] = last.input[1], last.input[0]


@pytest.mark.parametrize(
    "change",
    [
        reads_the_second_token,
        has_an_unknown_operator,
        reads_the_mean_too,
        is_causal,
        norms_all_tokens_at_once,
        swaps_sizes,
    ],
)
def test_other_graphs_are_left_unchanged(change: Any, libraries: Libraries, bert: Any) -> None:
    model = copy(bert)
    change(model)
    run(model, batch(7, 7))
    before = copy(model)
    assert not first_token_only(libraries, model)
    assert model == before


def test_a_wrong_last_layer_is_not_kept(
    libraries: Libraries,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def wrong(libraries: Libraries, model: Any) -> bool:
        assert first_token_only(libraries, model)
        for each in model.graph.initializer:
            if each.name.endswith("classifier.bias"):
                each.CopyFrom(onnx.numpy_helper.from_array(np.full(1, 0.5, "f"), each.name))
        return True

    source = make("bert", tmp_path / "source")
    # A file beside the graph, which must be the last graph's alone.
    monkeypatch.setattr(graph, "_MAX_INLINE", 30_000)
    right = exporting.export(source, tmp_path / "right")
    monkeypatch.setattr(exporting, "first_token_only", wrong)
    with caplog.at_level(logging.WARNING, logger="resift.export"):
        card = exporting.export(source, tmp_path / "out")
    assert (card["attention"], card["last_layer"]) == ("fused", "all tokens")
    (record,) = [each for each in caplog.records if each.name.startswith("resift.export")]
    assert "first token" in record.getMessage()
    found = engine_logits(tmp_path / "out", DOCUMENTS[:9])
    np.testing.assert_allclose(found, source_logits(source, DOCUMENTS[:9]), rtol=0, atol=1e-4)
    sizes = [(tmp_path / name / "model.onnx.data").stat().st_size for name in ("out", "right")]
    assert sizes[0] < 1.1 * sizes[1]
    assert right["last_layer"] == "first token"


def product_of(kind: str, weight: Floats) -> Any:
    """``kind(x) @ weight``."""
    info, make_node = onnx.helper.make_tensor_value_info, onnx.helper.make_node
    first = make_node(kind, ["x", "x"] if kind == "Add" else ["x"], ["tokens"])
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            [first, make_node("MatMul", ["tokens", "weight"], ["y"])],
            "product",
            [info("x", onnx.TensorProto.FLOAT, ["batch", "length", len(weight)])],
            [info("y", onnx.TensorProto.FLOAT, ["batch", "length", weight.shape[1]])],
            [onnx.numpy_helper.from_array(weight, "weight")],
        ),
        opset_imports=[onnx.helper.make_opsetid("", 23)],
        ir_version=10,
    )
    onnx.checker.check_model(model)
    return model


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize(
    ("kind", "zero"), [("Gelu", 32), ("Relu", 0), ("Tanh", 128), ("Add", 128), ("Neg", 128)]
)
def test_the_graph_rounds_as_the_reference_does(
    kind: str, zero: int, smooth: bool, libraries: Libraries
) -> None:
    random = np.random.default_rng(1)
    weight = random.standard_normal((64, 24), dtype=np.float32)
    x = random.standard_normal((3, 5, 64), dtype=np.float32) * np.array(
        [0.0, 0.01, 1.0, 30.0, -0.7], dtype=np.float32
    ).reshape(5, 1)
    # Where GELU is lowest.
    x[:, 4] = -0.7518
    model = product_of(kind, weight)
    (product,) = products(model)
    assert product.rounding.zero == zero
    tokens = run_value(model, x)
    factors = np.exp(random.standard_normal(64)).astype(np.float32) if smooth else None
    expected = tokens @ weight
    row_int8(libraries, model, {} if factors is None else {"tokens": factors})
    assert ("Abs" in kinds(model)) is (zero == 128)
    found = run(model, {"x": x})
    flat = tokens.reshape(15, 64)
    values, scale = quantise(weight if factors is None else weight * factors[:, None])
    divided: Floats = flat if factors is None else np.divide(flat, factors, dtype=np.float32)
    emulated = product.rounding.rounded(divided) @ (values * scale)
    np.testing.assert_allclose(found.reshape(15, 24), emulated, rtol=1e-4, atol=1e-4)
    if factors is None:
        size = np.abs(tokens).max(axis=2, keepdims=True)
        assert (np.abs(found - expected) <= 0.12 * size + 0.05).all()


def run_value(model: Any, x: Floats) -> Floats:
    whole = copy(model)
    whole.graph.output[0].name = "tokens"
    return run(whole, {"x": x})


def test_gelu_has_finer_steps_than_signed_numbers() -> None:
    tokens = np.array([[-0.17, 0.0, 1.0, 5.0]], dtype=np.float32)
    steps = [Rounding(zero, 1e-9).scale(tokens).item() for zero in (128, 32, 0)]
    assert steps == pytest.approx([5 / 127, 5 / 223, 5 / 255])
    lowest = np.array([[-0.17, 0.0, 0.001]], dtype=np.float32)
    for kind in ("none", "tanh"):
        x = torch.linspace(-2, 0, 2001)
        lowest[0, 0] = torch.nn.functional.gelu(x, approximate=kind).min()
        rounded = Rounding(32, 0.17 / 32).rounded(lowest)
        assert np.abs(rounded - lowest).max() <= 0.17 / 64


def test_factors_are_chosen_by_the_error() -> None:
    random = np.random.default_rng(2)
    weight = random.standard_normal((96, 32), dtype=np.float32)
    even = random.standard_normal((200, 96), dtype=np.float32)
    product = Product("tokens", "weight", "output", Rounding(128, 1e-9))

    def error(tokens: Floats, factors: Any) -> float:
        values, scale = quantise(weight * factors[:, None])
        found = product.rounding.rounded(tokens / factors) @ (values * scale)
        return float(np.square(found - tokens @ weight).mean())

    assert smoothing.choose(product, weight, np.abs(even).max(axis=0), even) is None
    uneven = even.copy()
    uneven[:, 7] *= 40
    factors = smoothing.choose(product, weight, np.abs(uneven).max(axis=0), uneven)
    assert np.log(factors).mean() == pytest.approx(0, abs=1e-5)
    assert factors.argmax() == 7
    assert error(uneven, factors) < 0.5 * error(uneven, np.ones(96, dtype=np.float32))
    # No power of the others is better.
    for power in (0.3, 0.5, 0.7):
        shares = np.abs(uneven).max(axis=0) ** power / np.abs(weight).max(axis=1) ** (1 - power)
        other = shares / np.exp(np.log(shares).mean())
        assert error(uneven, factors) <= 1.001 * error(uneven, other)
    # A channel that is always zero, and a row of zeros in the matrix.
    uneven[:, 3], weight[4] = 0, 0
    factors = smoothing.choose(product, weight, np.abs(uneven).max(axis=0), uneven)
    assert np.isfinite(factors).all()
    assert (factors > 0).all()


def test_largest_numbers_come_from_all_pairs(libraries: Libraries, bert: Any) -> None:
    feeds = [batch(1, length) for length in (3, 40, 2)]

    class Pairs:
        def some(self, _: int) -> list[Batch]:
            return [Batch(**feed) for feed in feeds]

    model = copy(bert)
    name = next(products(model)).tokens
    largest, samples = smoothing._run(libraries, model, Pairs(), [name])
    assert model == bert
    model.graph.output[0].name = name
    taken = np.concatenate([run(model, feed)[0] for feed in feeds])
    np.testing.assert_allclose(largest[name], np.abs(taken).max(axis=0), rtol=1e-5)
    assert len(samples[name]) == 3 + 8 + 2


def test_pairs_are_taken_from_all_queries(libraries: Libraries, tmp_path: Path) -> None:
    source = Source.load(libraries, make("bert", tmp_path))
    source.write_config_and_tokenizer(tmp_path)
    scorer = Scorer(source, tmp_path / "tokenizer.json", max_length=48, groups=built_in())
    some = [each.input_ids[0].tolist() for each in scorer.some(5)]
    everything = [each.input_ids[0].tolist() for each in scorer.some(1000)]
    assert len(some) == 5
    assert len(everything) == 104
    assert (some[0], some[-1]) == (everything[0], everything[-1])
    assert some[0] != some[-1]


def test_smoothing_helps_where_channels_differ(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make("bert", tmp_path / "source")
    uneven(source)
    smooth = exporting.export(source, tmp_path / "smooth", "int8")
    monkeypatch.setattr(exporting, "smoothing", lambda *_, **__: {})
    rough = exporting.export(source, tmp_path / "rough", "int8")
    differences = [
        card["metrics"]["calibration"]["mean_logit_difference"] for card in (smooth, rough)
    ]
    assert differences[0] < 0.7 * differences[1]
    names = [node.name for node in onnx.load(tmp_path / "smooth/model_int8.onnx").graph.initializer]
    assert any(name.endswith("_inverse") for name in names)


def uneven(folder: Path) -> None:
    """One channel of what the first products take is large; the model computes the same."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder)
    readers = ("query.weight", "key.weight", "value.weight", "intermediate.dense.weight")
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("LayerNorm.weight"):
                parameter[5] *= 30
            elif name.endswith(readers):
                parameter[:, 5] /= 30
    model.save_pretrained(folder)


def test_shared_matrices_and_gelu_have_no_factors(
    libraries: Libraries, bert: Any, tmp_path: Path
) -> None:
    groups = smoothing._groups(bert)
    taken = {product.tokens for product in products(bert)}
    gelus = {node.output[0] for node in bert.graph.node if node.op_type == "Gelu"}
    assert len(gelus) == LAYERS
    assert set(groups) == taken - gelus
    albert = traced(libraries, "albert", tmp_path)
    users: dict[str, set[str]] = {}
    for product in products(albert):
        users.setdefault(product.weight, set()).add(product.tokens)
    shared = {weight for weight, tokens in users.items() if len(tokens) > 1}
    assert len(shared) >= 4
    free = [each.weight for group in smoothing._groups(albert).values() for each in group]
    assert shared.isdisjoint(free)


@pytest.mark.parametrize("kept", [True, False])
def test_word_embeddings_are_stored_in_int8(
    kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In models as small as these, it is never negligible.
    monkeypatch.setattr(exporting, "_WORDS_SHARE", 10.0 if kept else 0.1)
    factors: dict[str, Floats] = {}
    given = []

    def recorded(libraries: Libraries, model: Any, taken: Any, **options: Any) -> Any:
        given.append(taken)
        return row_int8(libraries, model, taken, **options)

    monkeypatch.setattr(exporting, "smoothing", lambda *_, **__: factors)
    monkeypatch.setattr(exporting, "row_int8", recorded)
    card = exporting.export(make("bert", tmp_path / "source"), tmp_path / "out", "int8")
    assert card["word_embeddings"] == ("int8" if kept else "float32")
    assert len(given) == (1 if kept else 2)
    assert all(each is factors for each in given)
    model = onnx.load(tmp_path / "out/model_int8.onnx")
    tables = [
        onnx.numpy_helper.to_array(each).dtype
        for each in model.graph.initializer
        if len(each.dims) == 2 and each.dims[0] > 200 and each.dims[1] > 1
    ]
    assert tables == [np.int8 if kept else np.float32]
    assert ("words_int8" in {node.input[0] for node in model.graph.node if node.input}) is kept
    whole = onnx.load(tmp_path / "out/model.onnx")
    assert "words_int8" not in {each.name for each in whole.graph.initializer}


def test_words_are_dequantised_by_row(libraries: Libraries, bert: Any) -> None:
    model = copy(bert)
    assert words_int8(libraries, model)
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in model.graph.initializer}
    (table,) = [
        onnx.numpy_helper.to_array(each)
        for each in bert.graph.initializer
        if each.name.endswith("word_embeddings.weight")
    ]
    stored = weights["words_int8"] * weights["words_scale"]
    assert (np.abs(stored - table) <= np.abs(table).max(axis=1, keepdims=True) / 253).all()
    feed = batch(3, 20)
    difference = np.abs(run(model, feed) - run(bert, feed)).max()
    assert 0 < difference < 0.2
    assert not words_int8(libraries, product_of("Relu", np.ones((16, 16), dtype=np.float32)))


def test_golden_pairs_allow_for_other_last_digits(tmp_path: Path) -> None:
    exporting.export(make("bert", tmp_path / "source"), tmp_path / "out", "int8")
    golden = json.loads((tmp_path / "out/golden.json").read_text(encoding="utf-8"))
    model = onnx.load(tmp_path / "out/model_int8.onnx")
    other = copy(model)
    (bias,) = [
        each for each in other.graph.initializer if each.name.endswith("embeddings.LayerNorm.bias")
    ]
    values = onnx.numpy_helper.to_array(bias)
    noise = 1e-6 * np.random.default_rng(3).standard_normal(values.shape)
    bias.CopyFrom(onnx.numpy_helper.from_array((values + noise).astype("f"), bias.name))
    feeds = [batch(1, length) for length in range(2, 48)]
    moved = [float(np.abs(run(other, feed) - run(model, feed)).max()) for feed in feeds]
    assert 1e-4 < max(moved) <= golden["tolerance"]
