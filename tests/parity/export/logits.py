"""Logits of an export, and those of its source in transformers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from parity.agreeing import Logits
from parity.encoders import WINDOW, torch, transformers
from parity.texts import QUERY

from resift import Reranker


def source_logits(folder: Path, documents: list[str]) -> Logits:
    """The logits of a folder as transformers reads it, in float32."""
    auto = transformers.AutoModelForSequenceClassification
    model = auto.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(
        [QUERY] * len(documents),
        documents,
        truncation="only_second",
        max_length=WINDOW,
        padding=True,
        return_tensors="pt",
        return_token_type_ids=int(getattr(model.config, "type_vocab_size", 0)) > 1,
    )
    with torch.no_grad():
        logits: Logits = model(**inputs).logits.numpy()
    return logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]


def engine_logits(folder: Path, documents: list[str], **options: Any) -> Logits:
    """The logits of an export, in input order; ``options`` are those of ``Reranker``."""
    ranking = Reranker(folder, **options).rank(QUERY, documents)
    logits = {result.index: result.logit for result in ranking}
    return np.array([logits[index] for index in range(len(documents))], dtype=np.float32)
