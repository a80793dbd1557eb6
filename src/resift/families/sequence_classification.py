"""Encoders with a classification head: BERT, ELECTRA, RoBERTa, XLM-R, DeBERTa, ModernBERT, …"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resift.errors import UnsupportedModelError
from resift.text.prompt import Prompt

# Positions in these models start after the padding id, and the table has rows for what is skipped:
# transformers, create_position_ids_from_input_ids in modeling_roberta.py.
_POSITIONS_AFTER_PADDING = frozenset(
    {"camembert", "mpnet", "roberta", "xlm-roberta", "xlm-roberta-xl"}
)
_ENCODERS = _POSITIONS_AFTER_PADDING | {
    "albert",
    "bert",
    "deberta",
    "deberta-v2",
    "distilbert",
    "electra",
    "ernie",
    "modernbert",
}


class SequenceClassification:
    """An encoder that reads query and document as one sequence; its head has one or two labels."""

    @property
    def prompt(self) -> Prompt | None:
        """``None``, as the tokenizer joins pairs."""
        return None

    @classmethod
    def recognises(cls, config: Mapping[str, Any]) -> bool:
        """Whether it is an encoder whose architecture ends in ``ForSequenceClassification``."""
        architectures = config.get("architectures") or ()
        return config.get("model_type") in _ENCODERS and any(
            str(name).endswith("ForSequenceClassification") for name in architectures
        )

    def window(self, config: Mapping[str, Any]) -> int:
        """``max_position_embeddings``, less the rows that RoBERTa and its relatives never use.

        Raises ``UnsupportedModelError`` where it is missing.
        """
        positions = config.get("max_position_embeddings")
        if not isinstance(positions, int):
            raise UnsupportedModelError(
                f"config.json has max_position_embeddings {positions!r}; expected an int"
            )
        if config.get("model_type") in _POSITIONS_AFTER_PADDING:
            return positions - int(config.get("pad_token_id") or 0) - 1
        return positions

    def format(self, query: str, documents: Sequence[str]) -> tuple[str, Sequence[str]]:
        """The texts, unchanged."""
        return query, documents

    def logits(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The relevance logits, ``float32 [batch]``, of ``outputs``, ``float32 [batch, labels]``.

        One label is the logit itself. Two, as [irrelevant, relevant], give their difference, which
        is the log-odds of the softmax over both. Raises ``UnsupportedModelError`` for any other
        number of labels.
        """
        if outputs.ndim == 2 and outputs.shape[1] == 1:
            return outputs[:, 0]
        if outputs.ndim == 2 and outputs.shape[1] == 2:
            difference: NDArray[np.float32] = outputs[:, 1] - outputs[:, 0]
            return difference
        raise UnsupportedModelError(
            f"the model's output has shape {list(outputs.shape)}; expected [batch, 1] or [batch, 2]"
        )
