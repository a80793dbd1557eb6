"""Rows of Arrow tables: read, and given their answers as columns; Parquet files of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from resift.datasets.columns import Columns, steps
from resift.datasets.ranking import Kept, Outcome, Rejected, with_positives
from resift.datasets.slices import Slice
from resift.datasets.tasks import Row, Score, Task
from resift.errors import InvalidRequestError

_RANKED = pa.struct([("index", pa.int32()), ("score", pa.float64()), ("logit", pa.float32())])


@dataclass(frozen=True, slots=True)
class Tables:
    """Arrow tables as the form of a dataset, in Parquet files; types stay as they are."""

    columns: Columns
    task: Task
    suffix = ".parquet"
    _open: dict[Path, tuple[int, Any, Iterator[Any]]] = field(default_factory=dict, compare=False)
    """Of the file that was read last: its next row, the rest of a batch, and further batches."""

    def slices(self, path: Path, most_rows: int, most_bytes: int) -> Iterator[Slice]:
        """The rows of a file in parts, by its footer; checks its columns."""
        with _parquet(path) as file:
            self.check(file.schema_arrow, str(path))
            groups = [file.metadata.row_group(at) for at in range(file.metadata.num_row_groups)]
        first = 0
        for group in groups:
            by_bytes = most_bytes * group.num_rows // max(1, group.total_byte_size)
            rows = max(1, min(most_rows, by_bytes))
            for start in range(0, group.num_rows, rows):
                yield Slice(first + start, min(rows, group.num_rows - start))
            first += group.num_rows
        if not first:
            yield Slice(0, 0)

    def read(self, path: Path, part: Slice) -> Any:
        """The rows of a part, as a table."""
        at, rest, batches = self._open.pop(path, (-1, None, iter(())))
        self._open.clear()
        if at != part.first:
            rest, batches = None, _batches_from(path, part.first)
        found, left = [], part.rows
        while left:
            batch = next(batches, None) if rest is None else rest
            if batch is None:
                raise InvalidRequestError(f"{path} has changed since its rows were counted")
            found.append(batch.slice(0, left))
            rest = batch.slice(left) if batch.num_rows > left else None
            left -= found[-1].num_rows
        self._open[path] = part.first + part.rows, rest, batches
        with _parquet(path) as file:
            return pa.Table.from_batches(found, file.schema_arrow)

    def check(self, schema: Any, place: str) -> None:
        """Raise ``InvalidRequestError`` for columns that aren't there, or can't be what they are.

        ``place`` is for the message.
        """
        new = {self.task.into, self.task.documents_into} - {self.columns.documents, None}
        taken = sorted(new & set(schema.names), key=str)
        if taken:
            raise InvalidRequestError(
                f"{place} has a column {taken[0]!r} already; choose another name for the answer"
            )
        for name in ("query", "documents", "id", "positives"):
            path = getattr(self.columns, name)
            if path is not None:
                kind = _type_at(schema, path, place)
                if name == "query" and not _is_text(kind):
                    raise InvalidRequestError(f"{place}: {path!r} must be text, not {kind}")
                if name == "documents":
                    self._check_documents(kind, f"{place}: {path!r}")

    def rows(self, table: Any) -> list[Row | Rejected]:
        """The questions of all rows."""
        documents = _column(table, self.columns.documents)
        queries = _column(table, self.columns.query).to_pylist()
        texts = _texts(documents, self.columns.text)
        if self.columns.positives is None:
            positives = None
        else:
            positives = _column(table, self.columns.positives).to_pylist()
        found: list[Row | Rejected] = []
        for at, (query, own) in enumerate(zip(queries, texts, strict=True)):
            if own is None:
                found.append(Rejected(f"{self.columns.documents!r} must be a list, not null"))
            elif positives is None:
                found.append(Row(query, own, len(own)))
            else:
                found.append(with_positives(query, own, positives[at], self._text_of))
        return found

    def reject(self, table: Any, first: int, at: int, reason: str) -> dict[str, Any]:
        """The position of a rejected row in its file, from 0, the reason, and its id."""
        found = {"row": first + at, "reason": reason}
        if self.columns.id is None:
            return found
        given = _column(table, self.columns.id)[at].as_py()
        plain = given if isinstance(given, (str, int, type(None))) else str(given)
        return {**found, "id": plain}

    def answered(self, table: Any, outcomes: Sequence[Outcome]) -> Any:
        """The table with the answers' columns; those of rejected rows are null."""
        kept = [each.results if isinstance(each, Kept) else None for each in outcomes]
        flat = [result for each in kept for result in each or ()]
        offsets, there = _layout(kept)
        scores = pa.array([each.score for each in flat], pa.float64())
        if isinstance(self.task, Score):
            values = scores
        else:
            indices = pa.array([each.index for each in flat], pa.int32())
            logits = pa.array([each.logit for each in flat], pa.float32())
            values = pa.StructArray.from_arrays([indices, scores, logits], fields=list(_RANKED))
        answer = pa.ListArray.from_arrays(offsets, values, mask=there)
        table = table.append_column(self.task.into, answer)
        if self.task.documents_into is None:
            return table
        documents = _column(table, self.columns.documents)
        if pa.types.is_null(documents.type):
            return table.append_column(self.task.documents_into, documents)
        starts = accumulate(_lengths(documents), initial=0)
        places = [
            start + result.index
            for start, each in zip(starts, kept, strict=False)
            for result in each or ()
        ]
        taken = documents.flatten().take(pa.array(places, pa.int64()))
        listed = pa.ListArray.from_arrays(offsets, taken, mask=there).cast(
            _list_type(documents.type)
        )
        name = self.task.documents_into
        if name in table.schema.names:
            at = table.schema.get_field_index(name)
            return table.set_column(at, table.schema.field(at), listed)
        return table.append_column(name, listed)

    def with_reasons(self, table: Any, name: str, reasons: Sequence[str | None]) -> Any:
        """The table with a column of why rows were rejected."""
        return table.append_column(name, pa.array(reasons, pa.string()))

    def write(self, table: Any, outcomes: Sequence[Outcome], file: IO[bytes]) -> None:
        """The rows that were kept, with their answers, as a Parquet file."""
        kept = [isinstance(each, Kept) for each in outcomes]
        answered = self.answered(table, outcomes)
        # Not all types can be filtered.
        pq.write_table(answered if all(kept) else answered.filter(pa.array(kept)), file)

    def count(self, path: Path) -> int:
        """The rows of a file, by its footer; -1 where it isn't there or isn't whole."""
        try:
            with _parquet(path) as file:
                return int(file.metadata.num_rows)
        except (FileNotFoundError, InvalidRequestError):
            return -1

    def _check_documents(self, kind: Any, place: str) -> None:
        if pa.types.is_null(kind):
            return
        if not _is_list(kind):
            raise InvalidRequestError(f"{place} must be lists of documents, not {kind}")
        value = kind.value_type
        if pa.types.is_struct(value):
            value = _type_at(value, self.columns.text, place)
        if not _is_text(value):
            raise InvalidRequestError(f"{place} must be lists of texts or objects, not {kind}")

    def _text_of(self, given: Any) -> Any:
        for name in steps(self.columns.text, given if isinstance(given, dict) else ()):
            if not isinstance(given, dict):
                raise KeyError(self.columns.text)
            given = given[name]
        return given


def _parquet(path: Path) -> Any:
    try:
        # Buffers would hold the whole of a file by and by.
        return pq.ParquetFile(path, pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise InvalidRequestError(f"{path} isn't a Parquet file: {error}") from error


def _batches_from(path: Path, first: int) -> Iterator[Any]:
    """The batches of a file, from a row on; whole row groups before it aren't read."""
    with _parquet(path) as file:
        groups = file.metadata.num_row_groups
        sizes = [file.metadata.row_group(at).num_rows for at in range(groups)]
        starts = list(accumulate(sizes, initial=0))
        group = max((at for at in range(groups) if starts[at] <= first), default=0)
        skipped = first - starts[group]
        for at in range(group, groups):
            for batch in file.iter_batches(batch_size=256, row_groups=[at]):
                if skipped < batch.num_rows:
                    yield batch.slice(skipped)
                skipped = max(0, skipped - batch.num_rows)


def _type_at(fields: Any, path: str, place: str) -> Any:
    """The type at a path in a schema, or in a struct's fields."""
    kind = fields
    for name in steps(path, getattr(fields, "names", None) or [each.name for each in fields]):
        names = [each.name for each in kind] if _has_fields(kind) else []
        if name not in names:
            known = ", ".join(names) or "none"
            raise InvalidRequestError(f"{place} has no {path!r}; there are: {known}")
        kind = kind.field(name).type
    return kind


def _has_fields(kind: Any) -> bool:
    return isinstance(kind, pa.Schema) or pa.types.is_struct(kind)


def _column(table: Any, path: str) -> Any:
    """The column at a path, in one chunk."""
    first, *rest = steps(path, table.schema.names)
    found = table.column(first).combine_chunks()
    if isinstance(found, pa.ChunkedArray):
        found = pa.concat_arrays(found.chunks) if found.num_chunks else pa.array([], found.type)
    for name in rest:
        found = pc.struct_field(found, name)
    return found


def _texts(documents: Any, text: str) -> list[list[str | None] | None]:
    """The texts of each row's documents; ``None`` for a null."""
    if pa.types.is_null(documents.type):
        return [None] * len(documents)
    flat = documents.flatten()
    if pa.types.is_struct(flat.type):
        names = [each.name for each in flat.type]
        for name in steps(text, names):
            flat = pc.struct_field(flat, name)
    all_texts = flat.to_pylist()
    ends = list(accumulate(_lengths(documents), initial=0))
    valid = documents.is_valid().to_pylist()
    return [all_texts[ends[at] : ends[at + 1]] if valid[at] else None for at in range(len(valid))]


def _lengths(documents: Any) -> list[int]:
    return pc.fill_null(pc.list_value_length(documents), 0).to_pylist()  # type: ignore[no-any-return]


def _layout(kept: Sequence[Sequence[Any] | None]) -> tuple[Any, Any]:
    """The offsets of lists, and which of them are null."""
    ends = accumulate((len(each or ()) for each in kept), initial=0)
    return pa.array(list(ends), pa.int32()), pa.array([each is None for each in kept], pa.bool_())


def _list_type(kind: Any) -> Any:
    """The type of shorter lists of the same documents."""
    return pa.list_(kind.value_field) if pa.types.is_fixed_size_list(kind) else kind


def _is_list(kind: Any) -> bool:
    checks: Sequence[Callable[[Any], bool]] = (
        pa.types.is_list,
        pa.types.is_large_list,
        pa.types.is_fixed_size_list,
    )
    return any(check(kind) for check in checks)


def _is_text(kind: Any) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    checks = (pa.types.is_string, pa.types.is_large_string)
    return any(check(kind) for check in checks) or bool(pa.types.is_null(kind))
