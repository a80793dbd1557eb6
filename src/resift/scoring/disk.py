"""A store of logits on disk, which several processes share: an SQLite database."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from resift.scoring.stores import PACKED, Entry

if TYPE_CHECKING:
    import sqlite3

_logger = logging.getLogger(__name__)

_FILE = "scores-1.sqlite3"  # with the version of its form
_TABLE = (
    "CREATE TABLE scores (id INTEGER PRIMARY KEY, key BLOB UNIQUE NOT NULL, value BLOB NOT NULL)"
)
_SEAL = 8
# As many as any build of SQLite takes in one statement.
_AT_ONCE = 500
# A write takes milliseconds. Whoever would wait longer does without.
_WAIT_SECONDS = 0.5

# SQLite knows of no fork: a child would take over locks that no thread of its own ever gives back.
# So no connection is open while the process forks.
_connecting = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_connecting.acquire,
        after_in_parent=_connecting.release,
        after_in_child=_connecting.release,
    )


class Disk:
    """Keeps entries in a file of ``folder``, those written last; of texts and queries, nothing.

    Nothing that goes wrong here fails a call: what can't be read isn't there, what can't be written
    is left out, and a warning in the log says so. Each entry is sealed with its key, so that no
    damage makes another score of it.
    """

    ENTRY_BYTES = 128
    """What an entry takes, with its place in the index; measured."""

    def __init__(self, folder: str | os.PathLike[str], max_bytes: int) -> None:
        self._path = Path(folder).expanduser().absolute() / _FILE
        self._entries = max(1, max_bytes // self.ENTRY_BYTES)
        self._warned: set[str] = set()

    def get(self, keys: Iterable[bytes]) -> dict[bytes, Entry]:
        """The entries that there are, by key."""
        wanted = list(keys)
        found: dict[bytes, Entry] = {}
        if self._path.exists():
            self._connected("rw", lambda database: _read(database, wanted, found))
        return found

    def put(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep entries, and forget those that were written longest ago."""
        self._connected("rwc", lambda database: _write(database, entries, self._entries))

    def _connected(self, mode: str, work: Callable[[sqlite3.Connection], None]) -> None:
        """Work with a connection of this call alone."""
        import sqlite3

        try:
            if mode == "rwc":
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            address = f"{self._path.as_uri()}?mode={mode}"
            with (
                _connecting,
                closing(
                    sqlite3.connect(address, uri=True, timeout=_WAIT_SECONDS, isolation_level=None)
                ) as database,
            ):
                work(database)
        except (sqlite3.Error, OSError, ValueError) as error:
            self._warn(error)

    def _warn(self, error: Exception) -> None:
        # Once for each kind: it would be in every call.
        if str(error) not in self._warned:
            self._warned.add(str(error))
            _logger.warning(
                "The cache of scores in %s can't be used: %s. Texts are scored again; remove the "
                "file if it is damaged, or give another folder",
                self._path,
                error,
            )


def _read(database: sqlite3.Connection, wanted: Sequence[bytes], found: dict[bytes, Entry]) -> None:
    """Put the entries that there are into ``found``. Raises ``ValueError`` at one that is damaged.

    It is scored again then, and so written again.
    """
    if not _has_table(database):
        return
    for start in range(0, len(wanted), _AT_ONCE):
        some = wanted[start : start + _AT_ONCE]
        marks = ",".join("?" * len(some))
        query = f"SELECT key, value FROM scores WHERE key IN ({marks})"
        for key, value in database.execute(query, some):
            found[key] = _unsealed(key, value)


def _write(database: sqlite3.Connection, entries: Mapping[bytes, Entry], at_most: int) -> None:
    # What a crash of the machine leaves is found by the seals: it need not wait for a disk.
    database.execute("PRAGMA synchronous = OFF")
    database.execute("BEGIN IMMEDIATE")
    if not _has_table(database):
        database.execute(_TABLE)
    database.executemany(
        "INSERT INTO scores (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        [(key, _sealed(key, entry)) for key, entry in entries.items()],
    )
    # Only the oldest are ever deleted, so ids have no gaps.
    database.execute("DELETE FROM scores WHERE id <= (SELECT max(id) FROM scores) - ?", [at_most])
    database.execute("COMMIT")


def _has_table(database: sqlite3.Connection) -> bool:
    """Whether the table is there. Raises ``ValueError`` for a database of another program."""
    found = [
        row[0] for row in database.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")
    ]
    if found not in ([], [_TABLE]):
        raise ValueError("it is a database of another program")
    return bool(found)


def _seal(key: bytes, packed: bytes) -> bytes:
    return blake2b(key + packed, digest_size=_SEAL).digest()


def _sealed(key: bytes, entry: Entry) -> bytes:
    packed = entry.pack()
    return packed + _seal(key, packed)


def _unsealed(key: object, value: object) -> Entry:
    """The entry. Raises ``ValueError`` for one that is damaged."""
    if isinstance(key, bytes) and isinstance(value, bytes):
        packed, seal = value[:-_SEAL], value[-_SEAL:]
        if len(packed) == PACKED and seal == _seal(key, packed):
            return Entry.unpack(packed)
    raise ValueError("an entry is damaged")
