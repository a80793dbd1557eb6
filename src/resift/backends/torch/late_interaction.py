"""The bundled model: its formula over transformers' BERT, on the weights of its ONNX graph.

The formula is that of the model's card; ``training/make/late_interaction.py`` writes it as a graph.
The weights are found by the graph's structure, not by names: the table gathered by ``input_ids``
and the one gathered by positions, the layer norms and the products with constant matrices in the
order of the layers, each layer's query, key and value in one matrix, and the last product and sum.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

from resift.backends.torch.network import to_device
from resift.backends.torch.packing import ATTENTION, has_kernel, pack
from resift.errors import BackendUnavailableError, UnsupportedModelError
from resift.text.batch import Batch

Arrays = Mapping[str, NDArray[Any]]


class Formula(NamedTuple):
    """The parameters of the formula besides the encoder's."""

    worth: Any
    """``float32 [vocabulary]``, positive: the weights of a query's tokens."""
    share: float
    """The weight of the cosine of the means; the best matches have weight 1."""
    slope: float
    intercept: float


class LateInteraction:
    """Encodes each text by itself; relevance comes from the two means and from the best matches."""

    def __init__(self, encoder: Any, formula: Formula) -> None:
        self.model, self.config = encoder, encoder.config
        self._formula = formula

    def __call__(self, batch: Batch) -> Any:
        """Run a batch, with one label as output; see ``Network``."""
        texts = split_texts(batch)
        present = to_device(texts.attention_mask == 1, self.model.device)
        hidden = self._encode(texts, present)
        query, document = hidden[0::2], hidden[1::2]
        in_query, in_document = present[0::2], present[1::2]
        cosine = (_mean(query, in_query) * _mean(document, in_document)).sum(dim=1)

        # Without [CLS] and [SEP], which carry no question.
        inner = in_query.roll(-1, dims=1) & in_query
        inner[:, 0] = inner[:, -1] = False
        matches = _unit(query) @ _unit(document).transpose(1, 2)
        best = matches.masked_fill(~in_document[:, None], -1).amax(dim=2)
        worth = self._formula.worth.to(inner.device)
        weight = worth[to_device(texts.input_ids[0::2], inner.device)] * inner
        best = (best * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=float(worth.min()))
        relevance = self._formula.share * cosine + best
        return (self._formula.slope * relevance + self._formula.intercept)[:, None]

    def _encode(self, texts: Batch, present: Any) -> Any:
        """Encode texts: ``float32 [texts, length, hidden]``, with any finite values at padding."""
        device = self.model.device
        if self.config._attn_implementation != ATTENTION:
            ids = to_device(texts.input_ids, device)
            return self.model(ids, attention_mask=present.long()).last_hidden_state.float()
        packed = pack(texts, device)
        found = self.model(
            packed.input_ids, position_ids=packed.position_ids, **packed.attention
        ).last_hidden_state.float()
        hidden = found.new_zeros(*present.shape, found.shape[2])
        hidden[present] = found[0]
        return hidden


def split_texts(batch: Batch) -> Batch:
    """Split pairs into texts: ``int64 [2 * batch, length]``, each query before its document."""
    second = batch.token_type_ids * batch.attention_mask
    first = batch.attention_mask - second
    lengths = np.stack([first.sum(axis=1), second.sum(axis=1)], axis=1).reshape(-1)
    mask = (np.arange(lengths.max()) < lengths[:, None]).astype(np.int64)
    ids = np.zeros_like(mask)
    ids[mask == 1] = batch.input_ids[batch.attention_mask == 1]
    return Batch(input_ids=ids, attention_mask=mask, token_type_ids=np.zeros_like(mask))


def _mean(hidden: Any, present: Any) -> Any:
    """The unit vector along the mean; computed from the sum, which has the same direction."""
    return _unit((hidden * present[..., None]).sum(dim=1))


def _unit(vectors: Any) -> Any:
    return torch.nn.functional.normalize(vectors, dim=-1)


def read_late_interaction(path: Path, device: Any, dtype: Any) -> LateInteraction:
    """Read the model whose graph is at ``path``, beside its ``config.json``, onto the CPU.

    ``device`` and ``dtype`` are those that it will run in. Raises ``BackendUnavailableError`` where
    ``onnx`` isn't installed, ``UnsupportedModelError`` naming the file for any other graph.
    """
    try:
        import onnx
    except ImportError as error:
        raise BackendUnavailableError(
            f"backend 'torch' reads the weights of {path.name} with onnx, which is not installed; "
            "pip install resift[torch]"
        ) from error
    try:
        config = transformers.AutoConfig.from_pretrained(path.parent, trust_remote_code=False)
        graph = onnx.load(str(path)).graph
        constants = _constants(onnx, graph)
        state = dict(_state(graph, constants, config.num_hidden_layers))
        formula = _formula(graph, constants)
        # Token types are all 0, and the graph has added their row to the positions.
        rows = (config.type_vocab_size, config.hidden_size)
        state["embeddings.token_type_embeddings.weight"] = np.zeros(rows, np.float32)
        encoder = transformers.BertModel._from_config(
            config,
            attn_implementation=ATTENTION if has_kernel(config, device, dtype) else "sdpa",
            add_pooling_layer=False,
        )
        encoder.load_state_dict({name: torch.tensor(array) for name, array in state.items()})
    # Other graphs fail in as many ways as there are graphs.
    except Exception as error:
        raise UnsupportedModelError(
            f"backend 'torch' can't read {path}: {error!r}; of ONNX graphs it runs only those that "
            "training/make/late_interaction.py writes. Other models need model.safetensors, or the "
            "backend 'onnx'"
        ) from error
    return LateInteraction(encoder.to(dtype).eval(), formula)


def _constants(onnx: Any, graph: Any) -> dict[str, NDArray[Any]]:
    """The graph's constants, and all values computed from constants alone."""
    from onnx.reference import ReferenceEvaluator

    known = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    for node in graph.node:
        if node.input and all(name in known for name in node.input if name):
            feeds = {name: known[name] for name in node.input if name}
            known.update(zip(node.output, ReferenceEvaluator(node).run(None, feeds), strict=True))
    return known


def _state(graph: Any, constants: Arrays, layers: int) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """BERT's weights under their names in transformers."""
    # For int8 words, the rows and their scales.
    by_word = [table for table in _by_word(graph, constants) if table.ndim == 2]
    words = np.prod(np.broadcast_arrays(*(each.astype(np.float32) for each in by_word)), axis=0)
    for widening in _unbiased(graph, constants):
        words = words @ widening
    yield "embeddings.word_embeddings.weight", words
    (positions,) = (
        constants[node.input[0]]
        for node in graph.node
        if node.op_type == "Gather"
        and node.input[1] != "input_ids"
        and getattr(constants.get(node.input[0]), "ndim", 0) == 2
    )
    yield "embeddings.position_embeddings.weight", positions
    norms = ["embeddings.LayerNorm"]
    for number in range(layers):
        prefix = f"encoder.layer.{number}"
        norms += [f"{prefix}.attention.output.LayerNorm", f"{prefix}.output.LayerNorm"]
    found = [node for node in graph.node if node.op_type == "LayerNormalization"]
    for name, node in zip(norms, found, strict=True):
        yield f"{name}.weight", constants[node.input[1]]
        yield f"{name}.bias", constants[node.input[2]]
    products = list(_products(graph, constants))
    if len(products) != 4 * layers:
        raise ValueError(f"{len(products)} products with constants; expected {4 * layers}")
    for number in range(layers):
        prefix = f"encoder.layer.{number}"
        projections, *rest = products[4 * number : 4 * number + 4]
        parts = zip(*(np.split(each, 3, axis=-1) for each in projections), strict=True)
        names = [f"{prefix}.attention.self.{part}" for part in ("query", "key", "value")]
        names += [f"{prefix}.{part}.dense" for part in ("attention.output", "intermediate")]
        names.append(f"{prefix}.output.dense")
        for name, (weight, bias) in zip(names, [*parts, *rest], strict=True):
            yield f"{name}.weight", weight.T
            yield f"{name}.bias", bias


def _by_word(graph: Any, constants: Arrays) -> list[NDArray[Any]]:
    """The tables with a row for each word."""
    return [
        constants[node.input[0]]
        for node in graph.node
        if node.op_type == "Gather" and node.input[1] == "input_ids"
    ]


def _products(graph: Any, constants: Arrays) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """Each product of the hidden state with a constant matrix, and the constant added to it."""
    for matrix, biases in _constant_products(graph, constants):
        if biases:
            yield matrix, biases[0]


def _unbiased(graph: Any, constants: Arrays) -> list[NDArray[Any]]:
    """The matrix that widens narrow word embeddings; empty where there is none."""
    return [matrix for matrix, biases in _constant_products(graph, constants) if not biases]


def _constant_products(
    graph: Any, constants: Arrays
) -> Iterator[tuple[NDArray[Any], list[NDArray[Any]]]]:
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in constants and node.output[0]:
            (added,) = (each for each in graph.node if node.output[0] in each.input)
            yield constants[node.input[1]], [constants[x] for x in added.input if x in constants]


def _formula(graph: Any, constants: Arrays) -> Formula:
    """Read slope and intercept off the last product and sum, and the share before them."""
    (worth,) = (table for table in _by_word(graph, constants) if table.ndim == 1)
    makers = {name: node for node in graph.node for name in node.output}

    def split(name: str) -> tuple[float, list[str]]:
        """The constant operand of the node that makes a value, and the names of the others."""
        inputs = makers[name].input
        (constant,) = (constants[each] for each in inputs if each in constants)
        return float(constant), [each for each in inputs if each not in constants]

    intercept, (scaled,) = split("logits")
    slope, (relevance,) = split(scaled)
    cosine, _ = makers[relevance].input
    share, _ = split(cosine)
    return Formula(torch.tensor(worth), share, slope, intercept)
