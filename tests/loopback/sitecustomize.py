"""Refuses connections beyond loopback, in the tests' process and in the Pythons that they start.

``conftest.py`` at the root puts this folder into ``PYTHONPATH``. What was refused is also noted in
the file that ``RESIFT_TEST_CONNECTIONS`` names, as telemetry swallows what it runs into.
"""

from __future__ import annotations

import ipaddress
import os
import sys

_ASKED = {
    "socket.connect": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
    "socket.sendto": 1,
}
"""For each event, which of its arguments says where to."""


def _is_loopback(place: object) -> bool:
    # A pair or more for internet addresses, else a path.
    host = place[0] if isinstance(place, tuple) else place
    if isinstance(host, bytes):
        host = host.decode()
    if not host or not isinstance(host, str) or host == "localhost" or host.startswith(("/", "\0")):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event not in _ASKED or _is_loopback(arguments[_ASKED[event]]):
        return
    said = f"{event} {arguments[_ASKED[event]]!r}"
    if path := os.environ.get("RESIFT_TEST_CONNECTIONS"):
        with open(path, "a", encoding="utf-8") as file:  # noqa: PTH123
            file.write(f"{said}\n")
    raise ConnectionRefusedError(f"no test may open a connection beyond loopback: {said}")


sys.addaudithook(_refuse)
