"""Stores of a cache of logits: what is kept of a text, and a store in memory."""

from __future__ import annotations

import struct
import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

from resift.once import Once

_FORM = struct.Struct("<fq?")

PACKED = _FORM.size
"""The number of bytes that an entry is packed into."""


class Entry(NamedTuple):
    """A model's word on a text: all that a ranking shows of it."""

    logit: float
    """float32, finite."""
    truncated_tokens: int
    query_truncated: bool

    def pack(self) -> bytes:
        """The entry as ``PACKED`` bytes, the same on every machine."""
        return _FORM.pack(*self)

    @classmethod
    def unpack(cls, packed: bytes) -> Entry:
        """The entry in ``PACKED`` bytes."""
        return cls(*_FORM.unpack(packed))


class Store(Protocol):
    """Keeps entries by keys of 32 bytes; shared by threads, and usable after a ``fork``."""

    def get(self, keys: Iterable[bytes]) -> dict[bytes, Entry]:
        """The entries that there are, by key."""

    def put(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep entries, and forget others where there are too many."""


class Memory:
    """Keeps entries in this process, those used last; a child of ``fork`` begins with none."""

    ENTRY_BYTES = 384
    """The most that an entry takes, with its key, and its place in a table that grows: measured on
    CPython for a thousand entries and more. Most of the time it is 230 to 310.
    """

    def __init__(self, max_bytes: int) -> None:
        entries = max(1, max_bytes // self.ENTRY_BYTES)
        self._table: Once[_Table] = Once(lambda: _Table(entries))

    def get(self, keys: Iterable[bytes]) -> dict[bytes, Entry]:
        """The entries that there are, by key."""
        return self._table.get().get(keys)

    def put(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep entries, and forget those that were used longest ago."""
        self._table.get().put(entries)


class _Table:
    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        # Packed, an entry takes a third of the space.
        self._packed: OrderedDict[bytes, bytes] = OrderedDict()

    def get(self, keys: Iterable[bytes]) -> dict[bytes, Entry]:
        found = {}
        with self._lock:
            for key in keys:
                packed = self._packed.get(key)
                if packed is not None:
                    self._packed.move_to_end(key)
                    found[key] = Entry.unpack(packed)
        return found

    def put(self, entries: Mapping[bytes, Entry]) -> None:
        with self._lock:
            for key, entry in entries.items():
                self._packed[key] = entry.pack()
                self._packed.move_to_end(key)
            while len(self._packed) > self._size:
                self._packed.popitem(last=False)
