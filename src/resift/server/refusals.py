"""Requests that aren't ranked: their statuses, and the errors of the engine as statuses."""

from __future__ import annotations

import math
from dataclasses import dataclass

from resift.errors import (
    BackendUnavailableError,
    InvalidRequestError,
    ModelError,
    NonFiniteScoreError,
    OverloadedError,
    RemoteError,
    RemoteUnavailableError,
)
from resift.protocols import Failure, WireError


class RefusedError(Exception):
    """A request that isn't answered as it asks to be.

    ``status`` is the HTTP status, ``kind`` what TEI calls such an error, ``reason`` a word for
    metrics; ``retry_after`` in seconds says when to come again, and ``closes`` whether the
    connection can't be used any more.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        kind: str = "Validation",
        reason: str = "invalid",
        retry_after: float | None = None,
        closes: bool = False,
    ) -> None:
        self.status, self.kind, self.reason = status, kind, reason
        self.retry_after, self.closes = retry_after, closes
        super().__init__(message)

    @property
    def failure(self) -> Failure:
        """The error's words, for a shape to say."""
        return Failure(status=self.status, message=str(self), kind=self.kind)

    def headers(self) -> dict[str, str]:
        """The headers that go with it."""
        found = {}
        if self.retry_after is not None:
            found["retry-after"] = str(max(1, math.ceil(self.retry_after)))
        if self.status == 401:
            found["www-authenticate"] = "Bearer"
        if self.closes:
            found["connection"] = "close"
        return found


def too_large(message: str) -> RefusedError:
    """The refusal of a request beyond a limit of its size."""
    return RefusedError(413, message, reason="too_large")


def overloaded(message: str, seconds: float, reason: str = "overloaded") -> RefusedError:
    """The refusal of a request for which there is no room now, but will be in ``seconds``."""
    return RefusedError(429, message, kind="Overloaded", reason=reason, retry_after=seconds)


@dataclass(frozen=True, slots=True)
class _Row:
    status: int
    kind: str
    reason: str


_ROWS: tuple[tuple[type[Exception], _Row], ...] = (
    (WireError, _Row(422, "Validation", "invalid")),
    (InvalidRequestError, _Row(422, "Validation", "invalid")),
    (OverloadedError, _Row(429, "Overloaded", "overloaded")),
    (RemoteUnavailableError, _Row(502, "Backend", "remote")),
    (RemoteError, _Row(502, "Backend", "remote")),
    (NonFiniteScoreError, _Row(500, "Backend", "inference")),
    (ModelError, _Row(500, "Backend", "model")),
    (BackendUnavailableError, _Row(500, "Backend", "model")),
)


def refused(error: Exception) -> RefusedError | None:
    """The refusal that an error of the engine becomes; ``None`` for any other error."""
    if isinstance(error, RefusedError):
        return error
    for kind, row in _ROWS:
        if isinstance(error, kind):
            later = getattr(error, "retry_after", None) or (1.0 if row.status == 429 else None)
            return RefusedError(
                row.status, str(error), kind=row.kind, reason=row.reason, retry_after=later
            )
    return None
