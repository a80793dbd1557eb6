"""A real Triton, from a wheel, as a process on loopback that is stopped by its id."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from ports import free_port

ROOT = Path(__file__).parents[2]
REQUIREMENTS = [
    ROOT / "tests/triton_server/requirements.txt",
    ROOT / "tests/triton_server/alone.txt",
]
HOME = ROOT / ".venv-triton"
READY = 60.0
"""Seconds until it has to answer."""


@dataclass(frozen=True)
class Triton:
    """A server that is ready."""

    port: int
    metrics_port: int
    log: Path
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get(self, path: str) -> Any:
        """The JSON of a route."""
        with urlopen(self.url + path, timeout=10) as answer:
            return json.loads(answer.read() or b"null")

    def post(self, path: str, body: Any, timeout: float = 30.0) -> tuple[int, Any]:
        """The status and the JSON of an answer, an error's too."""
        content = json.dumps(body).encode()
        try:
            with urlopen(Request(self.url + path, content), timeout=timeout) as answer:
                return answer.status, json.loads(answer.read())
        except HTTPError as error:
            return error.code, json.loads(error.read())

    def metrics(self) -> dict[str, float]:
        """Each metric of the model ``resift``, by its name; those of several labels are summed."""
        with urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        found: dict[str, float] = {}
        for line in lines:
            if 'model="resift"' in line:
                name = line.partition("{")[0]
                found[name] = found.get(name, 0.0) + float(line.rpartition(" ")[2])
        return found


def python() -> Path | None:
    """The Python of Triton's environment; ``None`` unless it has what is asked for today."""
    made = HOME / "requirements.txt"
    wanted = b"".join(path.read_bytes() for path in REQUIREMENTS)
    if not made.exists() or made.read_bytes() != wanted:
        return None
    return HOME / "bin/python"


@contextmanager
def triton(repository: Path, folder: Path, *arguments: str) -> Iterator[Triton]:
    """Serve ``resift`` of a repository; ``folder`` is for what it needs beside it.

    Its own model alone is loaded: the wheel has no ONNX Runtime backend.
    """
    (packages,) = HOME.glob("lib/python3.*/site-packages")
    server = packages / "pytriton/tritonserver"
    version = packages.parent.name.removeprefix("python")
    backend = folder / "backends/python"
    shutil.copytree(server / "backends/python", backend)
    shutil.copy(server / f"python_backend_stubs/{version}/triton_python_backend_stub", backend)
    port, metrics_port = free_port(), free_port()
    log = folder / "triton.log"
    library = subprocess.run(
        [HOME / "bin/python", "-c", "import sysconfig; print(sysconfig.get_config_var('LIBDIR'))"],
        check=True,
        capture_output=True,
        encoding="utf-8",
    ).stdout.strip()
    environment = {
        **os.environ,
        "LD_LIBRARY_PATH": f"{library}:{packages / 'nvidia_pytriton.libs'}",
        "PATH": f"{HOME / 'bin'}:{os.environ['PATH']}",
        "VIRTUAL_ENV": str(HOME),
        "PYTHONUTF8": "1",
    }
    command = [
        str(server / "bin/tritonserver"),
        f"--model-repository={repository}",
        f"--backend-directory={folder / 'backends'}",
        f"--cache-directory={server / 'caches'}",
        "--model-control-mode=explicit",
        "--load-model=resift",
        "--http-address=127.0.0.1",
        f"--http-port={port}",
        "--metrics-address=127.0.0.1",
        f"--metrics-port={metrics_port}",
        "--allow-grpc=false",
        "--exit-timeout-secs=5",
        *arguments,
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env=environment
        )
    found = Triton(port, metrics_port, log, process)
    try:
        _wait(found)
        yield found
    finally:
        process.terminate()
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(server: Triton) -> None:
    until = time.monotonic() + READY
    while time.monotonic() < until and server.process.poll() is None:
        try:
            server.get("/v2/health/ready")
            # They have a server of their own, which starts after this one.
            server.metrics()
        except (OSError, HTTPException):
            time.sleep(0.1)
        else:
            return
    said = server.log.read_text(encoding="utf-8", errors="replace")
    raise RuntimeError(f"Triton isn't ready:\n{said}")
