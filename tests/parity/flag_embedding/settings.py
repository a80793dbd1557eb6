"""Settings of small rerankers, and those that the cards of the large ones recommend."""

from __future__ import annotations

from typing import Any

LAYERS = 6
FIELDS: dict[str, dict[str, Any]] = {
    "minicpm": {"cutoff_layers": [4]},
    # Not the first layer with a head, and documents made shorter twice.
    "gemma2": {"cutoff_layers": [5], "compress_layers": [2, 4], "compress_ratio": 2},
}
# As in their cards' "Usage".
RECOMMENDED: dict[str, dict[str, Any]] = {
    "minicpm": {"cutoff_layers": [28]},
    "gemma2": {"cutoff_layers": [28], "compress_layers": [24, 40], "compress_ratio": 2},
}
