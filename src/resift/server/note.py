"""Notes on a request while it is answered, for its line in the log and its metrics."""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_GIVEN = re.compile(r"[A-Za-z0-9._:\-]{1,128}")


@dataclass(slots=True)
class Note:
    """The facts of one request."""

    request_id: str
    start: float = field(default_factory=time.perf_counter)
    path: str = "other"
    """The path of the route, so that there are only so many."""
    protocol: str = ""
    key: str | None = None
    error: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """More for the log."""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> Note:
        """Begin a note, with the number that the request has, or a new one."""
        given = headers.get("x-request-id", "")
        return cls(given if _GIVEN.fullmatch(given) else uuid.uuid4().hex)

    @property
    def seconds(self) -> float:
        """Seconds since the request's head was read."""
        return time.perf_counter() - self.start
