"""Factors that make the channels of what a product takes alike."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity.encoders import LAYERS, save_encoder, torch, transformers
from parity.export.graphs import Floats, batch, copy, onnx, run, traced

import resift.export.command as exporting
from resift.export.calibration import built_in
from resift.export.int8 import Product, Rounding, products, quantise
from resift.export.libraries import Libraries
from resift.export.source import Source
from resift.export.verify import Scorer
from resift.text.batch import Batch

# The package has a function of that name.
smoothing: Any = import_module("resift.export.smoothing")


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


def test_largest_numbers_come_from_all_pairs(libraries: Libraries, bert_graph: Any) -> None:
    feeds = [batch(1, length) for length in (3, 40, 2)]

    class Pairs:
        def some(self, _: int) -> list[Batch]:
            return [Batch(**feed) for feed in feeds]

    model = copy(bert_graph)
    name = next(products(model)).tokens
    largest, samples = smoothing._run(libraries, model, Pairs(), [name])
    assert model == bert_graph
    model.graph.output[0].name = name
    taken = np.concatenate([run(model, feed)[0] for feed in feeds])
    np.testing.assert_allclose(largest[name], np.abs(taken).max(axis=0), rtol=1e-5)
    assert len(samples[name]) == 3 + 8 + 2


def test_pairs_are_taken_from_all_queries(libraries: Libraries, tmp_path: Path) -> None:
    source = Source.load(libraries, save_encoder("bert", tmp_path))
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
    source = save_encoder("bert", tmp_path / "source")
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
    libraries: Libraries, bert_graph: Any, tmp_path: Path
) -> None:
    groups = smoothing._groups(bert_graph)
    taken = {product.tokens for product in products(bert_graph)}
    gelus = {node.output[0] for node in bert_graph.graph.node if node.op_type == "Gelu"}
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
