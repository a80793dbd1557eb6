"""Folders of models, with cards."""

from __future__ import annotations

import json
from typing import Any


def card_of(artifacts: list[dict[str, Any]]) -> bytes:
    card = {"max_length": 16, "window": 20, "tolerance": 1e-4, "artifacts": artifacts}
    return json.dumps(card).encode()
