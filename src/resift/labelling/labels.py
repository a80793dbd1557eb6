"""Labels and their file, to which each judgement is added at once."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median_low

from resift.errors import InvalidRequestError
from resift.files.grades import Judged, Key, Label, label_of, last_of
from resift.files.lines import json_line

_BEGINNING = b'{"query_id": '


class LabelsFile:
    """A labels file that is open for one writer."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._path, self._descriptor = path, descriptor
        self.mended = False
        """Whether the end of a line that was never finished has been removed."""
        self.labels = last_of(self._read())

    @classmethod
    @contextmanager
    def open(cls, path: Path) -> Iterator[LabelsFile]:
        """Open a file, or make it. Raises ``InvalidRequestError`` where it isn't one of labels."""
        # Binary is a word of Windows.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(path, flags, 0o644)
        except OSError as error:
            raise InvalidRequestError(f"{path} can't be written: {error.strerror}") from error
        try:
            _lock(descriptor, path)
            yield cls(path, descriptor)
        finally:
            os.close(descriptor)

    def append(self, label: Label) -> None:
        """Add a label: when this returns, it is on the disk. Otherwise nothing of it stays."""
        before = os.fstat(self._descriptor).st_size
        rest = label.line()
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, before)
            raise
        self.labels.pop(label.key, None)
        self.labels[label.key] = label

    def _read(self) -> list[Judged]:
        with os.fdopen(os.dup(self._descriptor), "rb") as file:
            whole = file.read()
        *lines, tail = whole.split(b"\n")
        found = []
        for number, line in enumerate(lines, start=1):
            place = f"{self._path}:{number}"
            if line.strip():
                found.append(label_of(json_line(_decoded(line, place), place)))
        if tail:
            found += self._finished(tail, f"{self._path}:{len(lines) + 1}", len(whole) - len(tail))
        return found

    def _finished(self, tail: bytes, place: str, start: int) -> list[Judged]:
        """Finish a last line without an end, or remove it, if it is the beginning of a label."""
        try:
            judged = label_of(json_line(_decoded(tail, place), place))
        except InvalidRequestError:
            if tail[: len(_BEGINNING)] != _BEGINNING[: len(tail)]:
                raise
            os.ftruncate(self._descriptor, start)
            self.mended = True
            return []
        os.write(self._descriptor, b"\n")
        return [judged]


def _decoded(line: bytes, place: str) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequestError(f"{place} isn't UTF-8: {error}") from error


def _lock(descriptor: int, path: Path) -> None:
    if sys.platform == "win32":
        return
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InvalidRequestError(
            f"{path} is being written by another resift label; end that one, or give another --out"
        ) from None


def merged(files: Iterable[Mapping[Key, Label]]) -> dict[Key, int]:
    """One grade for each pair: the median of all, the lower of two middle ones."""
    grades: dict[Key, list[int]] = {}
    for labels in files:
        for key, label in labels.items():
            grades.setdefault(key, []).append(label.grade)
    return {key: median_low(given) for key, given in grades.items()}


def to_qrels(grades: Mapping[Key, int], form: str) -> str:
    """Judgements as TREC's four columns (``"trec"``), or BEIR's three with a header (``"beir"``).

    Raises ``InvalidRequestError`` for an id that would break a column.
    """
    space, header = (None, "") if form == "trec" else ("\t", "query-id\tcorpus-id\tscore\n")
    for name in {each for key in grades for each in key}:
        broken = name.split() != [name] if space is None else set(name) & set("\t\r\n")
        if broken or re.search("[\ud800-\udfff]", name):
            advice = "; BEIR's form takes spaces: give --out a name in .tsv" if not space else ""
            raise InvalidRequestError(f"the id {name!r} can't be a column of qrels{advice}")
    rows = (
        f"{query} 0 {document} {grade}" if space is None else f"{query}\t{document}\t{grade}"
        for (query, document), grade in sorted(grades.items())
    )
    return header + "".join(f"{row}\n" for row in rows)
