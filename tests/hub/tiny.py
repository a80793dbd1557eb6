"""The tiny model, as the cache has it."""

from __future__ import annotations

from pathlib import Path

from hub_client import Client


def snapshot(client: Client, commit: str) -> Path:
    return client.cache / "models--acme--tiny/snapshots" / commit
