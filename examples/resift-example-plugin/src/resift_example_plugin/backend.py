"""The backend: token ids to what a query and a document share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from resift.backends import Batch
from resift.errors import BackendUnavailableError, UnsupportedModelError


class OverlapBackend:
    """Weighs the query's tokens that a document has, and those that it lacks.

    The file has one weight for each token id, ``float32 [vocabulary]``.
    """

    device = "cpu"
    max_batch_tokens = 4096
    length_multiple = 1
    pads = True

    def __init__(
        self,
        path: Path,
        *,
        device: str | None,
        precision: str,
        threads: int,
        vocabulary_ids: Sequence[int] = (),
    ) -> None:
        if device not in (None, "cpu"):
            raise BackendUnavailableError(
                f"backend 'overlap' runs on device 'cpu', not {device!r}; leave device out"
            )
        if vocabulary_ids:
            raise UnsupportedModelError(f"{path}: backend 'overlap' runs no language models")
        try:
            self._weights = np.load(path)
        except (OSError, ValueError) as error:
            raise UnsupportedModelError(f"{path} is no array of numpy: {error}") from error
        if self._weights.ndim != 1 or self._weights.dtype != np.float32:
            raise UnsupportedModelError(
                f"{path} is {self._weights.dtype} {list(self._weights.shape)}; expected float32 "
                "[vocabulary]"
            )
        self.workers = threads

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """``[batch, 2]``: the weights of the query's tokens, found and lacking."""
        outputs = np.empty((len(batch.input_ids), 2), dtype=np.float32)
        rows = zip(batch.input_ids, batch.attention_mask, batch.token_type_ids, strict=True)
        for output, (ids, mask, types) in zip(outputs, rows, strict=True):
            query = np.unique(ids[(mask == 1) & (types == 0)])
            found = np.isin(query, ids[(mask == 1) & (types == 1)])
            output[:] = self._weights[query[found]].sum(), self._weights[query[~found]].sum()
        return outputs
