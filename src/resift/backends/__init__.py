"""Backends, which turn token ids into a model's outputs: one file and one table entry for each."""

from resift.backends.protocol import Backend
from resift.backends.table import BACKENDS, BackendEntry
from resift.text.batch import Batch

__all__ = ["BACKENDS", "Backend", "BackendEntry", "Batch"]
