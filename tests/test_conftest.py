"""The root's ``conftest.py``: the guard of connections, and the report at the end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ELSEWHERE = """
import contextlib, socket
for attempt in (
    lambda: socket.getaddrinfo("example.org", 80),
    lambda: socket.create_connection(("192.0.2.1", 9)),
):
    with contextlib.suppress(OSError):
        attempt()
"""

_SUITE = """
import subprocess, sys, pytest

def test_at_home():
    import socket
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    assert socket.getaddrinfo("localhost", 80)

def test_swallowed():
    exec(ELSEWHERE, {})

def test_in_a_child():
    subprocess.run([sys.executable, "-c", ELSEWHERE], check=True)

def test_without_a_package():
    pytest.importorskip("no_such_package")

def test_without_an_instruction():
    pytest.skip("this processor has no bfloat16")
"""


def run(folder: Path, suite: str) -> subprocess.CompletedProcess[str]:
    """A pytest of its own, with the root's ``conftest.py`` as a plugin."""
    (folder / "test_suite.py").write_text(suite, encoding="utf-8")
    options = ["--noconftest", "-p", "conftest", "-p", "no:cacheprovider", "-q", "--rootdir", "."]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, "test_suite.py"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        encoding="utf-8",
    )


def test_a_connection_beyond_loopback_fails_its_test(tmp_path: Path) -> None:
    done = run(tmp_path, _SUITE.replace("ELSEWHERE", repr(ELSEWHERE)))
    assert done.returncode == 1
    assert "2 errors" in done.stdout
    for name in ("test_swallowed", "test_in_a_child"):
        assert f"ERROR test_suite.py::{name} - Failed: connections beyond loopback" in done.stdout
    assert done.stdout.count("'example.org'") >= 2 <= done.stdout.count("'192.0.2.1'")
    closing = "not checked on this machine: "
    (line,) = (line for line in done.stdout.splitlines() if line.startswith(closing))
    assert sorted(line.removeprefix(closing).split("; ")) == [
        "no no_such_package (1)",
        "this processor has no bfloat16 (1)",
    ]


def test_only_loopback_is_reachable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noted = tmp_path / "connections"
    monkeypatch.setenv("RESIFT_TEST_CONNECTIONS", str(noted))
    elsewhere: list[str | bytes] = ["192.0.2.1", "2001:db8::1", "example.org", b"example.org"]
    for host in elsewhere:
        with pytest.raises(ConnectionRefusedError, match="beyond loopback"):
            socket.getaddrinfo(host, 80)
    with pytest.raises(ConnectionRefusedError, match="beyond loopback"):
        socket.gethostbyname("example.org")
    with (
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        pytest.raises(ConnectionRefusedError, match="beyond loopback"),
    ):
        datagrams.sendto(b"", ("192.0.2.1", 9))
    assert len(noted.read_text(encoding="utf-8").splitlines()) == 6
    for home in ("127.0.0.1", "127.1.2.3", "::1", "localhost", None):
        assert socket.getaddrinfo(home, 80)


@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="this platform has no local sockets")
def test_a_socket_by_path_is_allowed(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with (
        socket.socket(socket.AF_UNIX) as server,
        socket.socket(socket.AF_UNIX) as client,
    ):
        server.bind(path)
        server.listen()
        client.connect(path)
