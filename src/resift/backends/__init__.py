"""How token ids become the model's outputs: one file and one table line for each backend."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from resift.errors import BackendUnavailableError, InvalidRequestError
from resift.tokenization import Batch


class Backend(Protocol):
    """A loaded model on a device. It knows nothing of queries or ranking.

    Made from the model's file and a device. A forward pass uses the calling thread alone; several
    threads may run one at a time each.
    """

    def __init__(self, path: Path, *, device: str | None) -> None: ...

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """``[batch, length]`` token ids to the model's outputs, ``float32 [batch, labels]``."""


class BackendEntry(NamedTuple):
    """Where a backend is, the package that it needs, and the format of weights that it reads."""

    module: str
    cls: str
    requires: str
    format: str


# In the order in which "auto" tries them.
BACKENDS: dict[str, BackendEntry] = {
    "onnx": BackendEntry("resift.backends.onnx", "OnnxBackend", "onnxruntime", "onnx"),
}


def find_backend(name: str) -> str:
    """The backend that runs: ``"auto"`` is the first that is installed.

    Raises ``InvalidRequestError`` for a name that doesn't exist, ``BackendUnavailableError`` for
    one that isn't installed.
    """
    if name != "auto" and name not in BACKENDS:
        raise InvalidRequestError(f"backend must be one of {['auto', *BACKENDS]}, not {name!r}")
    wanted: Sequence[str] = list(BACKENDS) if name == "auto" else [name]
    for candidate in wanted:
        if find_spec(BACKENDS[candidate].requires) is not None:
            return candidate
    packages = [BACKENDS[candidate].requires for candidate in wanted]
    raise BackendUnavailableError(
        f"backend {name!r} needs {' or '.join(packages)}, which is not installed; "
        f"pip install {packages[0]}"
    )


def backend_class(name: str) -> type[Backend]:
    """The class behind a name of ``BACKENDS``; its module is imported only now."""
    entry = BACKENDS[name]
    cls: type[Backend] = getattr(import_module(entry.module), entry.cls)
    return cls
