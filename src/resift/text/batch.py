"""Token ids on their way to a backend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and one window of a document: ``int32 [tokens]`` each, without special tokens."""

    query: Ids
    document: Ids


@dataclass(frozen=True, slots=True)
class Batch:
    """The input of a forward pass: three ``int64 [batch, length]``, padded at the right."""

    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]
    token_type_ids: NDArray[np.int64]


def as_ids(ids: Sequence[int]) -> Ids:
    """Token ids as ``int32 [tokens]``."""
    return np.asarray(ids, dtype=np.int32)
