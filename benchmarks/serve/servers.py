"""The servers that are compared, and their processes."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memory import memory
from reasons import UnavailableError, ended, in_short

HERE = Path(__file__).resolve().parent
_START = "import sys; from resift.cli.main import main; sys.exit(main())"
_LOOK_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Server:
    """A server, as set up for one row of the tables."""

    name: str
    environment: str
    """Of ``requirements-ENVIRONMENT.txt``."""
    made_by: str
    """The step of ``prepare.py`` that makes its model."""
    words: Callable[[Path, int, int], list[str]]
    """What Python is given, for the models' folder, a port, and a number of threads."""
    documents: str
    """The key of a request for them."""
    path: str = "/rerank"
    ready: str = "/health"
    more: Mapping[str, Any] = field(default_factory=dict)
    """The other keys of a request."""
    variables: Mapping[str, str] = field(default_factory=dict)

    def body(self, query: str, documents: Sequence[str]) -> bytes:
        """A request's body."""
        return json.dumps({"query": query, self.documents: documents, **self.more}).encode()


def _resift(precision: str) -> Server:
    def words(models: Path, port: int, threads: int) -> list[str]:
        model = ["--model", str(models / f"resift-{precision}"), "--precision", precision]
        return ["-c", _START, "serve", "--port", str(port), "--threads", str(threads), *model]

    return Server(
        name=f"resift-{precision}",
        environment="resift-server",
        made_by=f"resift-{precision}",
        words=words,
        documents="documents",
        ready="/health/ready",
    )


def _infinity(models: Path, port: int, threads: int) -> list[str]:
    del threads
    start = "import sys; from infinity_emb.cli import cli; sys.exit(cli())"
    words = ["-c", start, "v2", "--model-id", str(models), "--served-model-name", "served"]
    words += ["--engine", "torch", "--device", "cpu", "--dtype", "float32"]
    return [*words, "--no-bettertransformer", "--host", "127.0.0.1", "--port", str(port)]


def _fastapi(kind: str) -> Server:
    def words(models: Path, port: int, threads: int) -> list[str]:
        return [str(HERE / "plain_server.py"), str(models), str(port), str(threads), kind]

    return Server(
        name="fastapi" if kind == "plain" else f"fastapi-{kind}",
        environment="fastapi",
        made_by="reference",
        words=words,
        documents="documents",
    )


SERVERS = {
    each.name: each
    for each in (
        _resift("int8"),
        _resift("fp32"),
        Server(
            name="infinity",
            environment="infinity",
            made_by="reference",
            words=_infinity,
            documents="documents",
            more={"model": "served", "raw_scores": True},
            variables={"DO_NOT_TRACK": "1", "INFINITY_ANONYMOUS_USAGE_STATS": "0"},
        ),
        _fastapi("plain"),
        _fastapi("queued"),
    )
}


class Running:
    """A server's process, whose log is a file. Raises ``UnavailableError`` where it won't start.

    It stands still until ``turn``.
    """

    def __init__(
        self,
        server: Server,
        command: Sequence[str],
        port: int,
        *,
        variables: Mapping[str, str],
        log: Path,
        patience: float,
    ) -> None:
        self.server, self.port = server, port
        self._log = log
        with log.open("w", encoding="utf-8") as file:
            self.process = subprocess.Popen(
                list(command),
                stdout=file,
                stderr=subprocess.STDOUT,
                env=dict(variables) | dict(server.variables),
            )
        end = time.monotonic() + patience
        while not _answers(port, server.ready):
            if self.process.poll() is not None:
                raise UnavailableError(self._why(ended(self.process.returncode)))
            if time.monotonic() > end:
                self.stop()
                raise UnavailableError(self._why(f"wasn't ready within {patience:.0f} s"))
            time.sleep(_LOOK_SECONDS)

    def rest(self) -> None:
        """Stand still: another is measured."""
        self.process.send_signal(signal.SIGSTOP)

    def turn(self) -> None:
        """Go on."""
        self.process.send_signal(signal.SIGCONT)

    def resident(self) -> int:
        """Resident bytes; 0 where they are unknown."""
        return memory(self.process.pid).get("now", 0)

    def stop(self) -> None:
        """End it."""
        self.turn()
        self.process.kill()
        self.process.wait()

    def _why(self, otherwise: str) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return in_short(lines[-1]) if lines else otherwise


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def high_priority() -> bool:
    """Let this process and those that it starts come before other work, where that's allowed."""
    with suppress(OSError, AttributeError):
        os.setpriority(os.PRIO_PROCESS, 0, -15)
        return True
    return False


def _answers(port: int, path: str) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
