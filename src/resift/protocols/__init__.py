"""Wire shapes: the requests and answers of reranking servers, encoded and decoded both ways."""

from resift.protocols.reading import dumps, loads
from resift.protocols.shape import Shape
from resift.protocols.table import PROTOCOLS
from resift.protocols.wire import (
    About,
    Failure,
    Limits,
    WireError,
    WireQuery,
    WireRequest,
    WireResponse,
    WireResult,
    WireScore,
)

__all__ = [
    "PROTOCOLS",
    "About",
    "Failure",
    "Limits",
    "Shape",
    "WireError",
    "WireQuery",
    "WireRequest",
    "WireResponse",
    "WireResult",
    "WireScore",
    "dumps",
    "loads",
]
