"""Scores pairs in batches, and does so with ONNX Runtime: what the other scripts measure with."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from tokenizers import Encoding, Tokenizer

WINDOW = 512
BATCH_TOKENS = 1024

Inputs = dict[str, NDArray[np.int64]]


def load_tokenizer(path: Path) -> Tokenizer:
    """The tokenizer of a pair model, cutting nothing but the document's tail at `WINDOW` tokens."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.enable_truncation(WINDOW, strategy="only_second")
    return tokenizer


class PairScorer(ABC):
    """Scores (query, document) pairs in batches of similar length."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer

    def __call__(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Scores, float32 `[pairs]`, in the order given."""
        scores = np.empty(len(pairs), np.float32)
        encodings = self.tokenizer.encode_batch(list(pairs))
        for batch in groups([len(encoding) for encoding in encodings], BATCH_TOKENS):
            scores[batch] = self.forward(_collate([encodings[index] for index in batch]))
        return scores

    @abstractmethod
    def forward(self, inputs: Inputs) -> NDArray[np.float32]:
        """Scores, float32 `[batch]`, of collated pairs (int64 `[batch, length]` each)."""


class OnnxScorer(PairScorer):
    """A graph with the usual pair inputs, on disk or in memory, on the CPU."""

    def __init__(self, model: Path | bytes, tokenizer: Tokenizer, *, threads: int = 2) -> None:
        super().__init__(tokenizer)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(
            model if isinstance(model, bytes) else str(model),
            options,
            providers=["CPUExecutionProvider"],
        )

    def forward(self, inputs: Inputs) -> NDArray[np.float32]:
        """Logits."""
        (logits,) = self.session.run(["logits"], inputs)
        return np.asarray(logits, np.float32)[:, 0]


def _collate(encodings: Sequence[Encoding]) -> Inputs:
    """The three inputs, padded at the right with zeros."""
    length = max(len(encoding) for encoding in encodings)
    inputs = {
        name: np.zeros((len(encodings), length), np.int64)
        for name in ("input_ids", "attention_mask", "token_type_ids")
    }
    for row, encoding in enumerate(encodings):
        inputs["input_ids"][row, : len(encoding)] = encoding.ids
        inputs["attention_mask"][row, : len(encoding)] = 1
        inputs["token_type_ids"][row, : len(encoding)] = encoding.type_ids
    return inputs


def groups(lengths: Sequence[int], batch_tokens: int) -> list[list[int]]:
    """Indices grouped by similar length, each group within `batch_tokens` padded tokens."""
    found: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lengths.__getitem__):
        if not found or lengths[index] * (len(found[-1]) + 1) > batch_tokens:
            found.append([])
        found[-1].append(index)
    return found
