"""A file that many threads and processes append lines to, and the salt beside it."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from pathlib import Path


class Lines:
    """A file of lines, and those that were put aside when it was full: ``NAME.1.jsonl`` and on."""

    def __init__(self, path: Path, max_bytes: int | None, keep: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._keep = keep

    def append(self, line: bytes) -> None:
        """Write a line. Raises ``OSError``, and then nothing of it is left."""
        descriptor = self._opened(len(line))
        try:
            # One write to the end is whole, whoever else writes.
            written = os.write(descriptor, line)
            if written < len(line):
                _take_back(descriptor, written)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)

    def _opened(self, more: int) -> int:
        """A descriptor of a file with room; one for each line, so nothing is left to a fork."""
        while True:
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(self._path, flags, 0o600)
            try:
                size = os.fstat(descriptor).st_size
                if self._max_bytes is None or size == 0 or size + more <= self._max_bytes:
                    return descriptor
                self._put_aside(descriptor)
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)

    def _put_aside(self, descriptor: int) -> None:
        """Rename the file and those before it; closing the descriptor ends the lock."""
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        try:
            current = self._path.stat()
        except FileNotFoundError:
            return
        if not os.path.samestat(current, os.fstat(descriptor)):
            return  # Another process was first.
        suffix = self._path.suffix
        aside = [self._path.with_suffix(f".{n + 1}{suffix}") for n in range(self._keep)]
        # The file itself comes last: from then on others may put the next one aside.
        for older, old in zip(aside[:0:-1], aside[-2::-1], strict=True):
            if old.exists():
                old.replace(older)
        self._path.replace(aside[0])


def salt_beside(path: Path) -> str:
    """The salt in the file beside ``path``, which is written by whoever comes first."""
    beside = path.with_name(f"{path.name}.salt")
    with os.fdopen(os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        salt = file.read().strip()
        if not salt:
            salt = secrets.token_hex(32).encode()
            file.write(salt + b"\n")
            file.flush()
        return salt.decode()


def _take_back(descriptor: int, written: int) -> None:
    """Cut off a part of a line, unless somebody wrote behind it."""
    end = os.lseek(descriptor, 0, os.SEEK_CUR)
    if os.fstat(descriptor).st_size == end:
        os.ftruncate(descriptor, end - written)
