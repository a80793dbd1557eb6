"""A request of two documents, as every shape can have it."""

from __future__ import annotations

from resift.protocols import WireQuery, WireRequest

TWO = WireRequest(queries=(WireQuery(query="q", documents=("a", "b")),))
