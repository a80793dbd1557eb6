"""Arrow tables reranked, batch by batch: for whatever has tables and no files."""

from __future__ import annotations

from typing import Any

from resift.datasets.inputs import require_arrow
from resift.datasets.job import Asked
from resift.datasets.ranking import Rejected
from resift.errors import InvalidRequestError


class TableRanker:
    """Gives each row of Arrow tables its answer, in new columns; it needs ``resift[datasets]``.

    ``rejected`` is a new column: the reason why a row can't be ranked, whose answer is null, and
    null for the others. ``threads`` is in place of the option's.

    Raises ``InvalidRequestError`` for what can't be asked, and ``BackendUnavailableError`` without
    pyarrow. The model is loaded at the first table, or by ``warm_up``.
    """

    def __init__(
        self, asked: Asked, rejected: str = "rejected", *, threads: int | None = None
    ) -> None:
        require_arrow("tables need")
        from resift.datasets.arrow import Tables

        columns, task = asked.columns, asked.task
        if rejected in (task.into, task.documents_into, columns.documents):
            raise InvalidRequestError(
                f"rejected={rejected!r} is the name of another column; give it one of its own"
            )
        self._rejected = rejected
        self._ranker = asked.ranker(threads)
        self._form = Tables(columns, task)

    def warm_up(self) -> None:
        """Load the model. Raises what the first ranking would raise."""
        self._ranker.reranker.warm_up()

    def __call__(self, table: Any) -> Any:
        """The table with the new columns: as many rows, in the same order.

        Raises ``InvalidRequestError`` for columns that aren't there, or can't be what they are,
        and whatever the model raises.
        """
        self._form.check(table.schema, "the table")
        if self._rejected in table.schema.names:
            raise InvalidRequestError(
                f"the table has a column {self._rejected!r} already; choose another name"
            )
        outcomes, _ = self._ranker.rank(self._form.rows(table))
        reasons = [each.reason if isinstance(each, Rejected) else None for each in outcomes]
        return self._form.with_reasons(
            self._form.answered(table, outcomes), self._rejected, reasons
        )
