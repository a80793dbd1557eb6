"""Tiny cross-encoders, built in the tests from real ONNX operators and a real tokenizer.

Each word has a weight; a pair's logit is the mean weight of its document's tokens, so that every
expected score can be worked out by hand.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import convert_model_to_external_data
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

WEIGHTS = {
    "[PAD]": 1000.0,  # shows in every score if padding is ever counted
    "[UNK]": 0.0,
    "[CLS]": 0.0,
    "[SEP]": 0.0,
    "a": 0.5,
    "b": -0.5,
    "good": 2.0,
    "bad": -2.0,
    "huge": 70000.0,  # infinity in fp16
    "nan": float("nan"),
    **{f"w{n}": n / 10 for n in range(10)},
}
IDS = {word: index for index, word in enumerate(WEIGHTS)}
SPECIALS = 3


def build(
    folder: Path,
    *,
    labels: int = 1,
    precision: str = "fp32",
    positions: int = 32,
    token_types: bool = True,
    config: dict[str, object] | None = None,
    pair: str = "[CLS] $A [SEP] $B:1 [SEP]:1",
) -> Path:
    """Write a model's folder and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    name = {"fp32": "model.onnx", "fp16": "model_fp16.onnx"}[precision]
    onnx.save(_graph(labels, precision, token_types), folder / name)
    _tokenizer(pair).save(str(folder / "tokenizer.json"))
    defaults = {
        "architectures": ["BertForSequenceClassification"],
        "model_type": "bert",
        "max_position_embeddings": positions,
        "pad_token_id": IDS["[PAD]"],
    }
    (folder / "config.json").write_text(
        json.dumps({**defaults, **(config or {})}), encoding="utf-8"
    )
    return folder


def split(folder: Path, location: str, *, data: str = "data") -> Path:
    """A model whose weights are in a file beside the graph, which says they are at ``location``."""
    build(folder)
    graph = onnx.load(folder / "model.onnx")
    # Small constants must stay: shapes are worked out before data is read.
    convert_model_to_external_data(graph, location=data, size_threshold=64)
    onnx.save(graph, folder / "model.onnx")
    graph = onnx.load(folder / "model.onnx", load_external_data=False)
    for tensor in graph.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = location
    (folder / "model.onnx").write_bytes(graph.SerializeToString())
    return folder


def named(graph: bytes, name: str) -> bytes:
    """The same graph by another name, so that no digest is shared."""
    model = onnx.load_from_string(graph)
    model.graph.name = name
    return bytes(model.SerializeToString())


def logit(document: str) -> float:
    """The model's logit for a document that isn't cut: the mean over its words and [SEP]."""
    words = document.split()
    return float(np.float32(sum(WEIGHTS[w] for w in words) / (len(words) + 1)))


def _tokenizer(pair: str) -> Tokenizer:
    tokenizer = Tokenizer(WordLevel(dict(IDS), unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair=pair,
        special_tokens=[("[CLS]", IDS["[CLS]"]), ("[SEP]", IDS["[SEP]"])],
    )
    # As many published files do; the engine must not inherit either.
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=64)
    return tokenizer


def _graph(labels: int, precision: str, token_types: bool) -> onnx.ModelProto:
    number = {"fp32": np.float32, "fp16": np.float16}[precision]
    kind = {"fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16}[precision]
    # With two labels: [irrelevant, relevant] whose difference is the one-label logit.
    columns = {1: [1.0], 2: [-0.25, 0.75], 3: [1.0, 2.0, 3.0]}[labels]
    with np.errstate(over="ignore"):
        table = np.outer(list(WEIGHTS.values()), columns).astype(number)
    counted = "token_type_ids" if token_types else "attention_mask"
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["weights"]),
        helper.make_node("Mul", ["attention_mask", counted], ["mask_int"]),
        helper.make_node("Cast", ["mask_int"], ["mask_float"], to=kind),
        helper.make_node("Unsqueeze", ["mask_float", "last"], ["mask"]),
        helper.make_node("Mul", ["weights", "mask"], ["masked"]),
        helper.make_node("ReduceSum", ["masked", "sequence"], ["total"], keepdims=0),
        helper.make_node("ReduceSum", ["mask", "sequence"], ["count"], keepdims=0),
        helper.make_node("Div", ["total", "count"], ["logits"]),
    ]
    names = ["input_ids", "attention_mask", *(["token_type_ids"] if token_types else [])]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", "length"]) for n in names],
        [helper.make_tensor_value_info("logits", kind, ["batch", labels])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([-1]), "last"),
            numpy_helper.from_array(np.array([1]), "sequence"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    return model
