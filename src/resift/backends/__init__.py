"""How token ids become the model's outputs: one file and one table line for each backend."""

from resift.backends.protocol import Backend
from resift.backends.table import BACKENDS, BackendEntry
from resift.text.batch import Batch

__all__ = ["BACKENDS", "Backend", "BackendEntry", "Batch"]
