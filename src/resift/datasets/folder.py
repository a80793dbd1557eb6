"""The folder that a job writes to: parts of the output, and beside them how far it is."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

from resift.errors import InvalidRequestError

BOOKS = "_resift"
"""The folder of bookkeeping. Readers of datasets leave out names that begin with ``_``."""


class Folder:
    """Files that are whole or not there, whenever whoever writes them is killed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._books = path / BOOKS

    @property
    def has_begun(self) -> bool:
        """Whether a job has begun in it."""
        return (self._books / "job.json").exists()

    @contextlib.contextmanager
    def claimed(self) -> Iterator[None]:
        """Make the folder, unless it is there, and keep other jobs out of it.

        Raises ``InvalidRequestError`` where another process is writing to it, and where it has
        files that are no job's.
        """
        there = self.path.exists()
        empty = not there or (
            self.path.is_dir() and all(each.name == BOOKS for each in self.path.iterdir())
        )
        if not empty and not self.has_begun:
            raise InvalidRequestError(f"{self.path} isn't an empty folder; give another as output")
        for name in ("blocks", "runs"):
            (self._books / name).mkdir(parents=True, exist_ok=True)
        with (self._books / "lock").open("w", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InvalidRequestError(
                    f"{self.path} is being written by another process; wait for it, or end it"
                ) from None
            shutil.rmtree(self._books / "unfinished", ignore_errors=True)
            yield

    def part(self, number: int, suffix: str) -> Path:
        """The file of a block's rows."""
        return self.path / f"part-{number:06d}{suffix}"

    def write(self, path: Path, fill: Callable[[IO[bytes]], object]) -> None:
        """Write a file, under another name until it is whole and on the disk."""
        unfinished = self._books / "unfinished" / f"{path.name}.{uuid4().hex}"
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        try:
            with unfinished.open("wb") as file:
                fill(file)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)

    def write_json(self, name: str, content: Any) -> None:
        """Write a file of the output that people read, as JSON."""
        text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
        self.write(self.path / name, lambda file: file.write(text.encode()))

    def write_lines(self, name: str, rows: Iterable[Any]) -> None:
        """Write a file of the output as JSON lines, ASCII alone, as rejected text may be any."""
        lines = (f"{json.dumps(each)}\n".encode("ascii") for each in rows)
        self.write(self.path / name, lambda file: file.writelines(lines))

    def note(self, name: str, content: Any) -> None:
        """Write a file of bookkeeping, as JSON."""
        text = json.dumps(content, ensure_ascii=True).encode("ascii")
        self.write(self._books / name, lambda file: file.write(text))

    def noted(self, name: str) -> Any:
        """A file of bookkeeping. Raises ``InvalidRequestError`` where it is damaged or missing."""
        path = self._books / name
        try:
            return json.loads(path.read_bytes())
        except (OSError, ValueError) as error:
            raise InvalidRequestError(
                f"{path} can't be read: {error}. The output must be in a folder that every process "
                "and node of the job sees, and nobody else writes to"
            ) from error

    def names(self, of: str) -> list[str]:
        """The names of the files of bookkeeping in a folder of it, sorted."""
        return sorted(f"{of}/{each.name}" for each in (self._books / of).iterdir())
