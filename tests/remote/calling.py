"""``Remote`` for servers on loopback."""

from __future__ import annotations

from typing import Any

import httpx
from remote.loopback import Loopback

from resift.protocols import PROTOCOLS
from resift.scoring import Remote

TEXTS = ["1", "9", "5", "7", "3", "-2", "8"]
LOGITS = ["resift", "tei", "vllm", "vllm-score", "infinity", "kserve-v2"]
OWN = ["cohere", "cohere-v1", "jina", "voyage", "weaviate"]
CERTIFICATES = httpx.create_ssl_context()


def client() -> httpx.Client:
    """A client that doesn't read the certificates again, as that takes most of a test's time."""
    return httpx.Client(verify=CERTIFICATES)


def remote(server: Loopback, **options: Any) -> Remote:
    model = "m" if PROTOCOLS[server.shape].needs_model else None
    given = {"model": model, "client": client, **options}
    return Remote(server.url, protocol=server.shape, **given)
