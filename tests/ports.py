"""Ports of loopback, for servers that can't be told to take any that is free and say which."""

from __future__ import annotations

import random
import socket

# Below those that Linux (from 32768), macOS and Windows (from 49152) give to the near ends of
# connections, any of which could come between the choice and the server; above Ray's workers'
# (to 19999).
_PORTS = range(20_000, 30_000)


def free_port() -> int:
    """A port that nothing listens at, and that no connection is given."""
    # Not of ``random`` itself, whose seed is the same in tests that run beside each other.
    numbers = random.SystemRandom()
    while True:
        port = numbers.choice(_PORTS)
        with socket.socket() as found:
            try:
                found.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
