"""Rows ranked: a block of them with one call of the engine, and bad ones with their reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from resift import NonFiniteScoreError, RankedDocument, Ranking, Reranker
from resift.datasets.columns import Columns
from resift.datasets.tasks import Row, Task
from resift.errors import InvalidRequestError
from resift.request import Request

_COUNTED = ("documents", "scored", "pairs", "tokens", "padded_tokens", "truncated_documents")


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that can't be ranked."""

    reason: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A row's answer: documents, by position in the row, in the task's order."""

    results: tuple[RankedDocument, ...]


Outcome = Kept | Rejected


@dataclass(slots=True)
class Work:
    """The work of ranking some rows."""

    counts: Counter[str] = field(default_factory=Counter)
    """By name, as in ``resift.Counts``; and ``rows``, ``ranked``, ``rejected`` and ``kept``."""
    ran: Counter[str] = field(default_factory=Counter)
    """Rows by what ranked them: model, revision, backend, device, precision, status."""

    def note(self, ranking: Ranking) -> None:
        """Add a ranking of a row."""
        for name in _COUNTED:
            self.counts[name] += getattr(ranking.counts, name)
        if ranking.counts.documents:
            revision = f" {ranking.revision}" if ranking.revision else ""
            where = [ranking.backend, ranking.device, ranking.precision]
            how = "" if ranking.status == "complete" else f", {ranking.status}"
            about = " ".join(filter(None, where))
            self.ran[f"{ranking.model}{revision} on {about}{how}"] += 1


@dataclass(frozen=True, kw_only=True)
class RowRanker:
    """Ranks rows of any form."""

    reranker: Reranker
    columns: Columns
    task: Task
    most_documents: int | None = 100_000
    """A row with more documents is rejected; ``None`` takes any number."""

    def __post_init__(self) -> None:
        options = self.reranker.options
        if options.get("deadline_ms") is not None:
            raise InvalidRequestError(
                f"deadline_ms={options['deadline_ms']!r} is for callers who wait, and would leave "
                "it to chance which rows of a dataset have scores; leave it out"
            )
        self.task.check_options(options)
        into = self.task.documents_into
        if into is not None and into == self.columns.documents and "." in into:
            raise InvalidRequestError(
                f"documents_into={into!r} is inside another column, where documents can't be "
                "replaced; give another name"
            )
        if self.task.kind == "negatives" and self.columns.positives is None:
            raise InvalidRequestError(
                "the task 'negatives' needs positives, the column of what is known to be relevant"
            )

    def rank(self, rows: Sequence[Row | Rejected]) -> tuple[list[Outcome], Work]:
        """Rank rows with one call, so that they share batches; one outcome for each, in order.

        Raises what ``Reranker.rank_many`` raises, but for what is wrong with a single row.
        """
        checked = [each if isinstance(each, Rejected) else self._checked(each) for each in rows]
        asked = [each for each in checked if isinstance(each, Row)]
        work = Work()
        ranked = iter(self._rank(asked))
        outcomes: list[Outcome] = []
        for each in checked:
            outcome: Outcome = (
                each if isinstance(each, Rejected) else self._outcome(each, next(ranked), work)
            )
            work.counts["rejected" if isinstance(outcome, Rejected) else "ranked"] += 1
            outcomes.append(outcome)
        work.counts["rows"] += len(outcomes)
        return outcomes, work

    def _outcome(self, row: Row, answer: Ranking | Rejected, work: Work) -> Outcome:
        if isinstance(answer, Rejected):
            return answer
        work.note(answer)
        kept = Kept(tuple(self.task.select(row, answer)))
        work.counts["kept"] += len(kept.results)
        return kept

    def _checked(self, row: Row) -> Row | Rejected:
        if self.most_documents is not None and row.documents > self.most_documents:
            return Rejected(
                f"{row.documents} documents are more than most_documents={self.most_documents}"
            )
        try:
            Request.of(row.query, row.texts)
        except InvalidRequestError as error:
            return Rejected(str(error))
        return row

    def _rank(self, rows: Sequence[Row]) -> Sequence[Ranking | Rejected]:
        options: dict[str, Any] = {"top_n": self.task.most}
        try:
            return self.reranker.rank_many([(x.query, x.texts) for x in rows], **options)
        # It names one row of the call; the others have scores.
        except NonFiniteScoreError as error:
            if len(rows) == 1:
                return [Rejected(str(error))]
            return [one for row in rows for one in self._rank([row])]


def with_positives(
    query: Any, texts: Sequence[str | None], given: Any, text: Any
) -> Row | Rejected:
    """A row with its positives: ``given`` as ``Columns.positives`` has them, singly or in a list.

    ``text`` takes an object and returns the text in it, or raises ``KeyError``.
    """
    known: dict[str | None, list[int]] = {}
    for at, each in enumerate(texts):
        known.setdefault(each, []).append(at)
    asked, found = list(texts), set()
    listed = given if isinstance(given, (list, tuple)) else [] if given is None else [given]
    for each in listed:
        if isinstance(each, int) and not isinstance(each, bool):
            if not 0 <= each < len(texts):
                return Rejected(f"the positive {each} isn't a position in {len(texts)} documents")
            each = texts[each]
        try:
            positive = each if isinstance(each, str) else text(each)
        except KeyError:
            positive = None
        if each is None or not isinstance(positive, str):
            return Rejected(
                f"positives must be texts, objects with one, or positions, not {each!r:.80}"
            )
        if positive not in known:
            known[positive] = [len(asked)]
            asked.append(positive)
        found.update(known[positive])
    if not found:
        return Rejected("there are no positives, so nothing says what a negative is")
    return Row(query, asked, len(texts), frozenset(found))
