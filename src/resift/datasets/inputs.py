"""The files of a dataset: found, told from others, and cut into blocks."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple, Protocol

from resift.datasets.columns import Columns
from resift.datasets.lines import JsonLines
from resift.datasets.ranking import Outcome, Rejected
from resift.datasets.slices import Slice
from resift.datasets.tasks import Row, Task
from resift.errors import BackendUnavailableError, InvalidRequestError
from resift.files.lines import is_json

_END = 65_536


class Form(Protocol):
    """A format of files: how rows are read from it, and written with their answers.

    A table is what ``read`` returns: the rows of a slice.
    """

    @property
    def suffix(self) -> str:
        """The end of the names of files that it writes."""

    def slices(self, path: Path, most_rows: int, most_bytes: int) -> Iterator[Slice]:
        """The rows of a file in parts, at least one; of bytes, about so many."""

    def read(self, path: Path, part: Slice) -> Any:
        """The rows of a part. Raises ``InvalidRequestError`` where the file has changed."""

    def rows(self, table: Any) -> list[Row | Rejected]:
        """The questions of all rows."""

    def reject(self, table: Any, first: int, at: int, reason: str) -> dict[str, Any]:
        """Describe a rejected row, of a part before which the file has ``first`` rows or lines."""

    def write(self, table: Any, outcomes: Sequence[Outcome], file: IO[bytes]) -> None:
        """The rows that were kept, in order, with their answers."""

    def count(self, path: Path) -> int:
        """The rows of a file that it wrote; -1 where it isn't there or isn't whole."""


def form_of(kind: str, columns: Columns, task: Task) -> Form:
    """The form of that name: ``"jsonl"`` or ``"parquet"``, which needs pyarrow."""
    if kind == "jsonl":
        return JsonLines(columns, task)
    require_arrow("Parquet files need")
    from resift.datasets.arrow import Tables

    return Tables(columns, task)


def require_arrow(who: str) -> None:
    """Raise ``BackendUnavailableError`` without pyarrow, saying what to install."""
    try:
        import pyarrow.parquet  # noqa: F401
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            f"{error.name} isn't installed, which {who}: pip install 'resift[datasets]'"
        ) from error


@dataclass(frozen=True, slots=True)
class Inputs:
    """The files of one dataset, in the order of their names."""

    root: Path
    """The folder that the names begin at."""
    names: tuple[str, ...]
    kind: str
    """``"jsonl"`` or ``"parquet"``."""

    @classmethod
    def of(cls, given: str | os.PathLike[str]) -> Inputs:
        """The files that a path, a folder or a pattern such as ``rows/*.parquet`` names.

        In a folder, names that begin with ``.`` or ``_`` are left out. Raises
        ``InvalidRequestError`` where there are none, or of both kinds.
        """
        root, paths = _found(os.fspath(given))
        kinds = {each: "jsonl" if is_json(each) else "parquet" for each in paths}
        strange = [each for each in paths if not is_json(each) and each.suffix != ".parquet"]
        if not paths or strange or len(set(kinds.values())) > 1:
            what = (
                f"{strange[0]} is neither"
                if strange
                else "there are both"
                if paths
                else "found none"
            )
            raise InvalidRequestError(
                f"{given} must be JSON lines (.jsonl, .ndjson, .json, or these with .gz) or "
                f"Parquet files (.parquet): {what}"
            )
        names = tuple(each.relative_to(root).as_posix() for each in paths)
        return cls(root, names, kinds[paths[0]])

    def describe(self) -> list[dict[str, Any]]:
        """Each file's name, bytes, and a sha256 of its two ends, by which a change is seen."""
        return [_described(self.root, each) for each in self.names]


class Block(NamedTuple):
    """Rows that are ranked at once, and written as one file."""

    number: int
    """From 0, in the order of the rows."""
    file: str
    part: Slice


def blocks_of(inputs: Inputs, form: Form, most_rows: int, most_bytes: int) -> Iterator[Block]:
    """All rows of all files, in order, in blocks; each file has one at least."""
    number = 0
    for name in inputs.names:
        for part in form.slices(inputs.root / name, most_rows, most_bytes):
            yield Block(number, name, part)
            number += 1


def _found(given: str) -> tuple[Path, list[Path]]:
    path = Path(given)
    if path.is_dir():
        inside = (each for each in path.rglob("*") if each.is_file())
        return path, sorted(each for each in inside if not _is_hidden(each.relative_to(path)))
    if path.exists() or not glob.has_magic(given):
        return path.parent, [path] if path.exists() else []
    found = sorted(each for each in map(Path, glob.glob(given, recursive=True)) if each.is_file())  # noqa: PTH207
    fixed = [each for each in path.parts if not glob.has_magic(each)]
    root = Path(*path.parts[: path.parts.index(next(filter(glob.has_magic, path.parts)))])
    return (root if fixed else Path()), found


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "_")) for part in path.parts)


def _described(root: Path, name: str) -> dict[str, Any]:
    try:
        with (root / name).open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(0)
            ends = file.read(_END)
            file.seek(max(0, size - _END))
            ends += file.read(_END)
    except OSError as error:
        raise InvalidRequestError(f"{root / name} can't be read: {error.strerror}") from error
    return {"name": name, "bytes": size, "sha256": hashlib.sha256(ends).hexdigest()}
