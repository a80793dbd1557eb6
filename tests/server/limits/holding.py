"""A request, and a scorer that holds it."""

from __future__ import annotations

import threading
from typing import Any

from numbers_scorer import Numbers

BODY = {"query": "q", "documents": ["1", "2"]}


class Held(Numbers):
    """Answers when it is let, and counts who is in it."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()
        self.inside = 0
        self.cancelled = 0

    def score(self, requests: Any, call: Any) -> Any:
        if requests[0].texts == ("It is ready.",):
            raise ValueError("a probe")
        self.inside += 1
        while not self.let.wait(0.01):
            if call.is_cancelled:
                self.cancelled += 1
                break
        return super().score(requests, call)
