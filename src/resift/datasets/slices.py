"""A part of a file, small enough to be ranked at once and to be lost at a kill."""

from __future__ import annotations

from typing import NamedTuple


class Slice(NamedTuple):
    """A run of rows in one file."""

    first: int
    """Rows, or lines, before it in the file."""
    rows: int
    offset: int = 0
    """Bytes before it, of lines."""
    size: int = 0
    """Its bytes, of lines."""
    crc: int = 0
    """Their CRC-32, by which a change is seen."""
