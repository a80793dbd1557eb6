"""Precisions that have more to them than their name."""

from __future__ import annotations

DYNAMIC_INT8 = "int8-dynamic"
"""Int8 with one scale for a whole batch of tokens, which most published int8 graphs find."""

NARROW_INT8 = "int8-narrow"
"""Int8 whose weights are so small that sums of two products fit 16 bits."""
