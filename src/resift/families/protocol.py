"""What a family is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from resift.text.prompt import Prompt


class Family(Protocol):
    """A kind of model. It knows nothing of devices or batches."""

    @property
    def prompt(self) -> Prompt | None:
        """What is around the texts; ``None`` where the tokenizer itself joins a pair."""

    @classmethod
    def recognises(cls, config: Mapping[str, Any]) -> bool:
        """Whether a model with this ``config.json`` is of the family."""

    def window(self, config: Mapping[str, Any]) -> int:
        """The longest pair the model was built for, in tokens, special tokens included."""

    def format(self, query: str, documents: Sequence[str]) -> tuple[str, Sequence[str]]:
        """The texts to tokenize as the first and the second of each pair."""

    def logits(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """``float32 [batch, labels]`` to one relevance logit each, ``float32 [batch]``."""
