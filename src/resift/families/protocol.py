"""The interface of families."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from resift.text.prompt import Prompt


class Family(Protocol):
    """A kind of model: its prompt, its text format and its logits. Knows no devices or batches."""

    @property
    def prompt(self) -> Prompt | None:
        """The text around query and document; ``None`` where the tokenizer itself joins a pair."""

    @classmethod
    def recognises(cls, config: Mapping[str, Any]) -> bool:
        """Whether a model with this ``config.json`` belongs to the family."""

    def window(self, config: Mapping[str, Any]) -> int:
        """The longest pair the model was built for, in tokens, special tokens included."""

    def format(self, query: str, documents: Sequence[str]) -> tuple[str, Sequence[str]]:
        """The texts to tokenize as the first and the second of each pair."""

    def logits(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """One relevance logit for each row of ``float32 [batch, labels]``: ``float32 [batch]``."""
