"""A scorer of texts that are numbers, for tests of what is around scorers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from resift.call import Call
from resift.request import Request
from resift.scoring.scorer import Scored, Source


class Numbers:
    """Gives each text the number that it is, times ``scale``, and can be made to fail.

    It leaves out the texts in ``missing``, has no time for those in ``late``, and raises ``error``.
    ``digest`` is what it says of itself.
    """

    def __init__(
        self,
        name: str = "numbers",
        scale: float = 1.0,
        missing: str = "",
        late: str = "",
        error: Exception | None = None,
        digest: str | None = None,
    ) -> None:
        self.source = Source(model=name, backend="fake")
        self._scale, self._missing, self._late = scale, missing, late
        self.error = error
        self._digest = digest
        self.asked: list[tuple[str, ...]] = []
        self.warm = 0

    def __repr__(self) -> str:
        return f"Numbers({self.source.model!r})"

    def digest(self, call: Call) -> str | None:
        return self._digest

    def warm_up(self, call: Call) -> None:
        self.warm += 1
        if self.error is not None:
            raise self.error

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:
        with call.watch.phase("infer"):
            total = sum(len(request.texts) for request in requests)
            call.step(0, total)
            if self.error is not None:
                raise self.error
            answers = [self._score(request, call) for request in requests]
            call.step(total, total)
            return answers

    def _score(self, request: Request, call: Call) -> Scored:
        self.asked.append(request.texts)
        late = np.array([text in self._late.split() for text in request.texts], bool)
        left_out = np.array([text in self._missing.split() for text in request.texts], bool)
        scored = ~(late | left_out)
        numbers = np.array([float(text) * self._scale for text in request.texts], np.float32)
        length = call.options.max_length or 100
        return replace(
            Scored.nothing(len(request.texts), replace(self.source, device="abacus")),
            logits=np.where(scored, numbers, np.float32(np.nan)),
            scored=scored,
            pairs=scored.astype(np.int64),
            late=late if late.any() else None,
            truncated_tokens=np.array([max(0, len(t) - length) for t in request.texts], np.int64),
            query_truncated=len(request.query) > length,
            tokens=int(scored.sum()) * 3,
            padded_tokens=int(scored.sum()) * 4,
        )
