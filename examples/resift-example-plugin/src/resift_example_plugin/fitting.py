"""Makes models: the words of a collection, weighted by how rare they are."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np

WINDOW = 512
SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")


def fit(texts: Sequence[str], folder: str | os.PathLike[str]) -> Path:
    """Write a model of the words in ``texts`` to ``folder``, and return it.

    A word's weight is ``log(1 + texts / texts with it)``; words that aren't there have none.
    """
    # Here, as an entry point should import nothing that takes long.
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.normalizers import Lowercase
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    split = Whitespace()
    different = ({word for word, _ in split.pre_tokenize_str(text.lower())} for text in texts)
    counts = Counter(chain.from_iterable(different))
    words = sorted(set(counts).difference(SPECIALS))
    vocabulary = {word: token_id for token_id, word in enumerate([*SPECIALS, *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = Lowercase()
    tokenizer.pre_tokenizer = split
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(each, vocabulary[each]) for each in ("[CLS]", "[SEP]")],
    )
    weights = [0.0] * len(SPECIALS) + [np.log1p(len(texts) / counts[word]) for word in words]

    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(path / "tokenizer.json"))
    np.save(path / "weights.npy", np.array(weights, dtype=np.float32))
    _write(
        path / "config.json",
        {"model_type": "overlap", "max_position_embeddings": WINDOW, "pad_token_id": 0},
    )
    _write(
        path / "card.json",
        {
            "schema": 1,
            "family": "overlap",
            "max_length": WINDOW,
            "window": WINDOW,
            "tolerance": 1e-5,
            "artifacts": [{"format": "npy", "precision": "fp32", "file": "weights.npy"}],
        },
    )
    return path


def _write(path: Path, content: dict[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
