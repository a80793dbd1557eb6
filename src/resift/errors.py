"""Every error that resift raises on purpose.

    ResiftError
    ├── InvalidRequestError (ValueError)     the call is wrong: query, documents or an option
    ├── ModelError                           the model can't be used
    │   ├── ModelNotFoundError               no such name, folder, repository or file
    │   │   └── OfflineError                 it would have to be downloaded, and the network is off
    │   └── UnsupportedModelError            found, but damaged or not a model that resift can run
    │       └── SelfTestError                it doesn't give the logits that its author measured
    ├── BackendUnavailableError              the backend, device or precision is unavailable
    ├── NonFiniteScoreError                  the model gave NaN or infinity, in float32 too
    ├── OverloadedError                      too much is waiting to be scored
    └── RemoteError                          a server refused, or its answer can't be relied on
        └── RemoteUnavailableError           it can't be reached or is overloaded: try again later

Each message says what was given, what was expected, and what to do next. A misspelt keyword is a
plain ``TypeError``, as everywhere in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

__all__ = [
    "BackendUnavailableError",
    "InvalidRequestError",
    "ModelError",
    "ModelNotFoundError",
    "NonFiniteScoreError",
    "OfflineError",
    "OverloadedError",
    "RemoteError",
    "RemoteUnavailableError",
    "ResiftError",
    "SelfTestError",
    "UnsupportedModelError",
]


class ResiftError(Exception):
    """The base class of every error that resift raises on purpose."""


class InvalidRequestError(ResiftError, ValueError):
    """The query, the documents or an option is invalid."""


class ModelError(ResiftError):
    """The model can't be used."""


class ModelNotFoundError(ModelError):
    """The model, or one of its files, is missing."""


class OfflineError(ModelNotFoundError):
    """The model would have to be downloaded, and the network is switched off."""


class UnsupportedModelError(ModelError):
    """The model was found, but it is damaged or of a kind that resift can't run."""


class SelfTestError(UnsupportedModelError):
    """The model doesn't reproduce its golden logits on this machine."""


class BackendUnavailableError(ResiftError):
    """The backend isn't installed, or the device or precision is unavailable."""


class OverloadedError(ResiftError):
    """Too much is waiting to be scored: nothing was scored of this call."""


class NonFiniteScoreError(ResiftError):
    """The model gave NaN or infinity for some documents, in float32 too.

    ``model`` and ``backend`` are names; ``indices`` are positions in the ``documents`` of
    ``query``, from 0. The message doesn't show the query: logs keep messages.
    """

    def __init__(self, *, model: str, backend: str, query: str, indices: Sequence[int]) -> None:
        self.model = model
        self.backend = backend
        self.query = query
        self.indices = tuple(indices)
        super().__init__(
            f"{model} on backend {backend!r} gave NaN or infinity for the documents at indices "
            f"{list(self.indices)} of a query of {len(query)} characters, in float32 too where it "
            "has such weights; expected finite logits. Nothing was ranked: check the model's "
            "weights, or leave those documents out."
        )

    def __reduce__(self) -> tuple[Any, ...]:
        # For other processes.
        again = partial(
            type(self),
            model=self.model,
            backend=self.backend,
            query=self.query,
            indices=self.indices,
        )
        return again, ()


class RemoteError(ResiftError):
    """A server refused a request, or gave an answer that can't be relied on.

    The same request would fail again. ``server`` is the server's host and port; ``status`` is the
    HTTP status, or ``None`` where there was no whole answer.
    """

    def __init__(
        self, message: str, *, server: str | None = None, status: int | None = None
    ) -> None:
        self.server = server
        self.status = status
        super().__init__(message)


class RemoteUnavailableError(RemoteError):
    """A server can't be reached, timed out, or is overloaded: the request may succeed later.

    ``retry_after`` is in seconds, where the server or the circuit breaker names a time.
    """

    def __init__(
        self,
        message: str,
        *,
        server: str | None = None,
        status: int | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.retry_after = retry_after
        super().__init__(message, server=server, status=status)
