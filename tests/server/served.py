"""A server in a process of its own, as somebody sees it who watches over it."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from server.running import PATIENCE, process, until

_SAMPLE = re.compile(r"(?m)^([^#\n].*) (\S+)$")


@dataclass
class Served:
    """A running server, and a client of it."""

    http: httpx.Client
    process: Any

    @property
    def log(self) -> str:
        """The lines that it has written so far."""
        return "".join(self.process.lines)

    def line(self, request_id: str) -> dict[str, Any]:
        """The line of a request in a JSON log, which is written after the answer."""
        until(lambda: f'"{request_id}"' in self.log)
        found = (json.loads(line) for line in self.log.splitlines())
        return next(each for each in found if each.get("request_id") == request_id)

    def metrics(self) -> dict[str, float]:
        """Every sample of ``/metrics``, by its name and labels."""
        samples = _SAMPLE.findall(self.http.get("/metrics").text)
        return {name: float(value) for name, value in samples}

    def stop(self) -> int:
        """End it as an orchestrator does; returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return int(self.process.wait(PATIENCE))


@contextmanager
def serve(*arguments: str, **environment: str) -> Iterator[Served]:
    """``resift serve`` with these arguments."""
    with (
        process(*arguments, env={**os.environ, **environment}) as running,
        httpx.Client(base_url=running.address, timeout=PATIENCE, trust_env=False) as http,
    ):
        yield Served(http, running)
