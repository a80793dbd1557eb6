"""A server on loopback: in a thread of this process, or a process of its own."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from resift.server.app import Server
from resift.server.config import Config
from resift.server.run import Listening

PATIENCE = 60.0

Serve = Callable[..., httpx.Client]
"""Starts a server, and gives a client of it."""


def configured(
    limits: Mapping[str, Any] | None = None,
    settings: Mapping[str, Any] | None = None,
    **options: Any,
) -> Config:
    """A configuration of one model, at any free port."""
    config = Config.of(**options)
    return replace(
        config,
        settings=replace(config.settings, **{"port": 0, "drain_seconds": 0.0, **(settings or {})}),
        limits=replace(config.limits, **(limits or {})),
    )


@contextmanager
def serving(server: Server, probe: str = "/health/ready") -> Iterator[str]:
    """Serve in a thread; gives the address once ``probe`` says that it is ready."""
    listening = Listening(server)
    thread = threading.Thread(target=listening.run)
    thread.start()
    try:
        until(lambda: listening.started)
        address = f"http://127.0.0.1:{listening.servers[0].sockets[0].getsockname()[1]}"
        prefix = server.config.settings.url_prefix
        until(lambda: httpx.get(f"{address}{prefix}{probe}", timeout=PATIENCE).status_code == 200)
        yield address
    finally:
        listening.should_exit = True
        thread.join(PATIENCE)
        assert not thread.is_alive()


@contextmanager
def process(
    *arguments: str, env: Mapping[str, str] | None = None, ready: bool = True
) -> Iterator[Any]:
    """``resift serve`` as a process; gives it, with its ``address`` and its lines so far."""
    start = "import sys; from resift.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", start, "serve", "--port", "0", *arguments]
    found: Any = subprocess.Popen(
        command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, encoding="utf-8", env=env
    )
    found.lines = []

    def read() -> None:
        for line in found.stderr:
            found.lines.append(line)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        until(lambda: _address(found.lines) is not None or found.poll() is not None)
        found.address = _address(found.lines)
        if ready:
            assert found.address, found.lines
            until(lambda: readiness(found).status_code == 200)
        yield found
    finally:
        if found.poll() is None:
            found.kill()
        found.wait(PATIENCE)
        reader.join(PATIENCE)
        found.stderr.close()


def readiness(server: Any) -> httpx.Response:
    """The answer of a process that says whether it is ready."""
    return httpx.get(f"{server.address}/health/ready", timeout=PATIENCE)


def _address(lines: list[str]) -> str | None:
    match = re.search(r"running on (http://[0-9.:]+)", "".join(lines))
    return match[1] if match else None


def until(condition: Any) -> None:
    """Wait until a condition holds, or fail."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it took too long"
        time.sleep(0.01)


def resident_megabytes(pid: int) -> float:
    """The resident memory of a process."""
    text = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    found = re.search(r"VmRSS:\s+(\d+) kB", text)
    assert found
    return int(found[1]) / 1000
