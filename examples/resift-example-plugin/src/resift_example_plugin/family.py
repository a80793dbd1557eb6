"""The family: how its models read a pair, and what their outputs mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resift.families import Prompt

# Of the weight of a query without any, so that no logit is infinite.
_NEARLY_NOTHING = np.float32(1e-3)


class Overlap:
    """Models whose outputs are the weights of the query's words, found and lacking."""

    @property
    def prompt(self) -> Prompt | None:
        """``None``, as the tokenizer joins the pair."""
        return None

    @classmethod
    def recognises(cls, config: Mapping[str, Any]) -> bool:
        """Whether ``model_type`` is this family's."""
        return config.get("model_type") == "overlap"

    def window(self, config: Mapping[str, Any]) -> int:
        """``max_position_embeddings``."""
        return int(config["max_position_embeddings"])

    def format(self, query: str, documents: Sequence[str]) -> tuple[str, Sequence[str]]:
        """The texts as they are."""
        return query, documents

    def logits(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logarithm of found to lacking, whose sigmoid is the share that was found."""
        found, lacking = (outputs + _NEARLY_NOTHING).T
        logits: NDArray[np.float32] = np.log(found / lacking)
        return logits
