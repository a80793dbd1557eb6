"""Rows that are lines of JSON: read, and written with their answers."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from zlib import crc32

from resift.datasets.columns import Columns, lookup
from resift.datasets.ranking import Kept, Outcome, Rejected, with_positives
from resift.datasets.slices import Slice
from resift.datasets.tasks import Row, Score, Task
from resift.errors import InvalidRequestError
from resift.files.lines import json_line

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class JsonRow:
    """A line that isn't blank: an object, or what is wrong with it."""

    number: int
    """The line's, from 1."""
    text: bytes
    values: dict[str, Any] | Rejected


@dataclass(frozen=True, slots=True)
class JsonLines:
    """JSON lines as the form of a dataset; ``.gz`` too."""

    columns: Columns
    task: Task
    suffix = ".jsonl"

    def slices(self, path: Path, most_rows: int, most_bytes: int) -> Iterator[Slice]:
        """The lines of a file in parts, from a first reading. Blank lines aren't rows."""
        rows = size = crc = offset = line = first = 0
        with _opened(path) as file:
            for text in file:
                rows += _is_row(text)
                size += len(text)
                crc = crc32(text, crc)
                line += 1
                if rows >= most_rows or size >= most_bytes:
                    yield Slice(first, rows, offset, size, crc)
                    first, offset, rows, size, crc = line, offset + size, 0, 0, 0
        if size or not line:
            yield Slice(first, rows, offset, size, crc)

    def read(self, path: Path, part: Slice) -> list[JsonRow]:
        """The rows of a part. Raises ``InvalidRequestError`` where the file has changed."""
        with _opened(path) as file:
            file.seek(part.offset)
            content = file.read(part.size)
        if crc32(content) != part.crc or len(content) != part.size:
            raise InvalidRequestError(f"{path} has changed since its rows were counted")
        lines = content.removesuffix(b"\n").split(b"\n")
        numbered = ((part.first + at, text) for at, text in enumerate(lines, start=1))
        return [_parsed(number, text) for number, text in numbered if _is_row(text)]

    def rows(self, table: Sequence[JsonRow]) -> list[Row | Rejected]:
        """The questions of all rows."""
        return [self._row(each.values) for each in table]

    def reject(
        self,
        table: Sequence[JsonRow],
        first: int,  # noqa: ARG002
        at: int,
        reason: str,
    ) -> dict[str, Any]:
        """The number of a rejected row's line, the reason, its id, and the line as it was."""
        given = table[at]
        found: dict[str, Any] = {"line": given.number, "reason": reason}
        if self.columns.id is not None and isinstance(given.values, dict):
            try:
                found["id"] = lookup(given.values, self.columns.id)
            except KeyError:
                found["id"] = None
        return {**found, "content": given.text.decode("utf-8", "backslashreplace")}

    def write(self, table: Sequence[JsonRow], outcomes: Sequence[Outcome], file: IO[bytes]) -> None:
        """The rows that were kept, each as a line, with their answers."""
        for given, outcome in zip(table, outcomes, strict=True):
            if isinstance(outcome, Kept) and isinstance(given.values, dict):
                file.write(self._line(given.values, outcome))

    def count(self, path: Path) -> int:
        """The lines of a file that it wrote; -1 where it isn't there."""
        try:
            with path.open("rb") as file:
                return sum(1 for _ in file)
        except FileNotFoundError:
            return -1

    def _row(self, values: dict[str, Any] | Rejected) -> Row | Rejected:
        if isinstance(values, Rejected):
            return values
        new = {self.task.into, self.task.documents_into} - {self.columns.documents, None}
        taken = sorted(new & values.keys(), key=str)
        if taken:
            return Rejected(f"the row has {taken[0]!r} already; choose another name for the answer")
        try:
            query = lookup(values, self.columns.query)
            documents = lookup(values, self.columns.documents)
            positives = self.columns.positives and lookup(values, self.columns.positives)
        except KeyError as error:
            return Rejected(f"there is no {error.args[0]!r}")
        if not isinstance(documents, list):
            return Rejected(f"{self.columns.documents!r} must be a list, not {documents!r:.80}")
        texts = []
        for at, each in enumerate(documents):
            try:
                texts.append(self._text(each))
            except KeyError:
                return Rejected(f"documents[{at}] has no {self.columns.text!r}: {each!r:.80}")
        if self.columns.positives is None:
            return Row(query, texts, len(texts))
        return with_positives(query, texts, positives, self._text)

    def _text(self, document: Any) -> Any:
        """The text of a document; what isn't one is left to the engine's check."""
        return lookup(document, self.columns.text) if isinstance(document, dict) else document

    def _line(self, values: dict[str, Any], kept: Kept) -> bytes:
        answer: list[Any] = [
            each.score
            if isinstance(self.task, Score)
            else {"index": each.index, "score": each.score, "logit": each.logit}
            for each in kept.results
        ]
        row = {**values, self.task.into: answer}
        if self.task.documents_into is not None:
            documents = lookup(values, self.columns.documents)
            row[self.task.documents_into] = [documents[each.index] for each in kept.results]
        return _dumped(row)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield file
    except (OSError, EOFError, zlib.error) as error:
        raise InvalidRequestError(f"{path} can't be read: {error}") from error


def _is_row(line: bytes) -> bool:
    return bool(line.removeprefix(_BOM).strip())


def _parsed(number: int, line: bytes) -> JsonRow:
    text = line.removeprefix(_BOM) if number == 1 else line
    try:
        values = dict(json_line(text.decode(), f"line {number}").values)
        # What has no place in JSON, such as NaN, can't be written again.
        json.dumps(values, allow_nan=False)
    except UnicodeDecodeError as error:
        return JsonRow(number, text, Rejected(f"it isn't UTF-8: {error}"))
    except InvalidRequestError as error:
        return JsonRow(number, text, Rejected(str(error)))
    except (ValueError, RecursionError) as error:
        return JsonRow(number, text, Rejected(f"it isn't JSON: {error}"))
    return JsonRow(number, text, values)


def _dumped(row: dict[str, Any]) -> bytes:
    try:
        return f"{json.dumps(row, ensure_ascii=False)}\n".encode()
    # A lone surrogate is an escape in JSON, and has no other form.
    except UnicodeEncodeError:
        return f"{json.dumps(row)}\n".encode("ascii")
