"""Names of precisions that need an explanation."""

from __future__ import annotations

DYNAMIC_INT8 = "int8-dynamic"
"""Int8 with one scale for all tokens of a batch, as in most published int8 graphs."""

NARROW_INT8 = "int8-narrow"
"""Int8 with weights so small that the sum of two products fits 16 bits."""
