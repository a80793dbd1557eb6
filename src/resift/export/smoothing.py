"""Factors that even out the channels of tokens before rounding: SmoothQuant, arXiv 2211.10438.

A token has one scale, so a channel with numbers a hundred times larger leaves the others a
hundredth of the steps. Dividing the channel by a factor, and multiplying the matrix by it, keeps
the product and leaves the others more steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from resift.backends.onnx import open_session
from resift.export.graph import save
from resift.export.int8 import Floats, Product, products, quantise
from resift.export.libraries import Libraries
from resift.export.verify import Scorer

# Shares of the difference between channels that move from the tokens to the matrix.
_POWERS = (0.3, 0.5, 0.7)
# The share of the squared error that factors must save to be worth their time.
_WORTH = 0.1
_PAIRS = 64
_TOKENS = 8
"""The number of tokens of each pair for the error; the largest numbers come from all tokens."""


def smoothing(
    libraries: Libraries, model: Any, scorer: Scorer, *, narrow: bool = False
) -> dict[str, Floats]:
    """Find factors ``[K]`` for those inputs of products that are rounded better with them, by name.

    ``model`` computes in float32; the inputs and the errors of its products are measured on pairs
    of ``scorer``. ``narrow`` is as in ``quantise``.
    """
    groups = _groups(model)
    if not groups:
        return {}
    to_array = libraries.onnx.numpy_helper.to_array
    weights = {each.name: each for each in model.graph.initializer}
    largest, samples = _run(libraries, model, scorer, list(groups))
    found = {}
    for tokens, group in groups.items():
        matrix = np.concatenate([to_array(weights[each.weight]) for each in group], axis=1)
        factors = choose(group[0], matrix, largest[tokens], samples[tokens], narrow=narrow)
        if factors is not None:
            found[tokens] = factors
    return found


def choose(
    product: Product, weight: Floats, largest: Floats, tokens: Floats, *, narrow: bool = False
) -> Floats | None:
    """The factors with the smallest error, or ``None`` if none helps by ``_WORTH``.

    ``weight`` is ``[K, N]``, ``largest`` the largest number of each channel ``[K]``, ``tokens``
    ``[rows, K]``.
    """
    exact = tokens @ weight

    def error(weight: Floats, tokens: Floats) -> float:
        values, scale = quantise(weight, narrow=narrow)
        found = product.rounding.rounded(tokens) @ (values * scale)
        return float(np.square(found - exact).mean())

    best, least = None, (1 - _WORTH) * error(weight, tokens)
    strongest = np.abs(weight).max(axis=1)
    for power in _POWERS:
        shares = np.maximum(largest, 1e-5) ** power / np.maximum(strongest, 1e-5) ** (1 - power)
        factors = (shares / np.exp(np.log(shares).mean())).astype(np.float32)
        found = error(weight * factors[:, None], tokens * (1 / factors))
        if found < least:
            best, least = factors, found
    return best


def _groups(model: Any) -> dict[str, list[Product]]:
    """The products by their tokens' name, where factors are possible."""
    groups: dict[str, list[Product]] = {}
    users: dict[str, set[str]] = {}
    for product in products(model):
        groups.setdefault(product.tokens, []).append(product)
        users.setdefault(product.weight, set()).add(product.tokens)
    return {
        tokens: group
        for tokens, group in groups.items()
        # ALBERT's layers share their matrices, which can be multiplied only once. And the lower
        # bound of GELU, which its zero relies on, would differ for each channel.
        if all(len(users[each.weight]) == 1 for each in group)
        and (group[0].rounding.signed or group[0].rounding.zero == 0)
    }


def _run(
    libraries: Libraries, model: Any, scorer: Scorer, names: Sequence[str]
) -> tuple[Mapping[str, Floats], Mapping[str, Floats]]:
    """The largest number of each channel, and some tokens ``[rows, K]``, of each of ``names``."""
    kind = libraries.onnx.TensorProto.FLOAT
    outputs = [libraries.onnx.helper.make_tensor_value_info(each, kind, None) for each in names]
    largest: dict[str, Floats] = {}
    samples: dict[str, list[Floats]] = {name: [] for name in names}
    random = np.random.default_rng(0)
    with TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        model.graph.output.extend(outputs)
        save(libraries, model, path)
        del model.graph.output[-len(outputs) :]
        session = open_session(path)
        inputs = [each.name for each in session.get_inputs()]
        for batch in scorer.some(_PAIRS):
            feed = {name: getattr(batch, name) for name in inputs}
            for name, values in zip(names, session.run(list(names), feed), strict=True):
                tokens = values.reshape(-1, values.shape[-1])
                most = np.abs(tokens).max(axis=0)
                largest[name] = np.maximum(largest.get(name, most), most)
                some = random.permutation(len(tokens))[:_TOKENS]
                samples[name].append(tokens[some])
    return largest, {name: np.concatenate(each) for name, each in samples.items()}
