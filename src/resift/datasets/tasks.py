"""Tasks, which are asked of each row of a dataset: a ranking, all scores, or hard negatives."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from numbers import Integral
from typing import Any, ClassVar

from resift.checks import check_positive_int, check_score_threshold, check_text
from resift.errors import InvalidRequestError
from resift.ranking import RankedDocument, Ranking


@dataclass(frozen=True, slots=True)
class Row:
    """A row's query and texts, unchecked, and which of the texts are known to be relevant."""

    query: Any
    texts: Any
    """The documents' texts, and behind them those of positives that aren't among them."""
    documents: int = 0
    """How many of the texts are documents."""
    positives: frozenset[int] = frozenset()
    """Positions in ``texts``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """A question to a row, and where the answer goes."""

    kind: ClassVar[str]
    refused: ClassVar[tuple[str, ...]] = ("score_threshold", "prune", "on_error")
    """Options of the engine that it can't do with."""
    into: str
    """The new column."""
    documents_into: str | None = None
    """The column of the documents that were kept, in that order: a new one, or that of the
    documents itself, which they replace; ``None`` for none.
    """

    def __post_init__(self) -> None:
        check_text("documents_into", self.documents_into)
        if check_text("into", self.into) is None or self.into == self.documents_into:
            raise InvalidRequestError(
                f"into must name a column of its own, not {self.into!r}, with "
                f"documents_into={self.documents_into!r}"
            )

    @property
    def most(self) -> int | None:
        """Number of documents that the engine is to keep; ``None`` for all."""
        return None

    def select(self, row: Row, ranking: Ranking) -> Sequence[RankedDocument]:
        """The documents that go into the answer, in its order."""
        raise NotImplementedError

    def check_options(self, options: dict[str, Any]) -> None:
        """Raise ``InvalidRequestError`` for an option of the engine that has no meaning here."""
        for name in self.refused:
            if options.get(name) not in (None, "off", "raise"):
                raise InvalidRequestError(
                    f"{name}={options[name]!r} leaves documents without a score, and the task "
                    f"{self.kind!r} needs all scores; leave it out"
                )

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values, for ``task_of``."""
        return {"kind": self.kind, **asdict(self)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Rank(Task):
    """The ``top_n`` best documents of each row, best first, with index, score and logit."""

    kind: ClassVar[str] = "rank"
    refused: ClassVar[tuple[str, ...]] = ()
    into: str = "ranking"
    top_n: int | None = None
    """From 1; ``None`` keeps all."""

    def __post_init__(self) -> None:
        Task.__post_init__(self)
        check_positive_int("top_n", self.top_n, otherwise="None for all documents")

    @property
    def most(self) -> int | None:
        """The same as ``top_n``."""
        return self.top_n

    def select(self, row: Row, ranking: Ranking) -> Sequence[RankedDocument]:  # noqa: ARG002
        """All that were kept."""
        return ranking.results


@dataclass(frozen=True, kw_only=True, slots=True)
class Score(Task):
    """A score for each document of each row, in the order given; null where it wasn't scored."""

    kind: ClassVar[str] = "score"
    into: str = "scores"

    def __post_init__(self) -> None:
        Task.__post_init__(self)
        if self.documents_into is not None:
            raise InvalidRequestError(
                f"documents_into={self.documents_into!r}: the task 'score' keeps all documents as "
                "they are; leave it out"
            )

    def select(self, row: Row, ranking: Ranking) -> Sequence[RankedDocument]:  # noqa: ARG002
        """All, in the order given."""
        return sorted(ranking.results, key=lambda result: result.index)


@dataclass(frozen=True, kw_only=True, slots=True)
class Negatives(Task):
    """Hard negatives of each row: the best documents that aren't positives, within bounds.

    Ranks are counted among those documents, from 0, each different text once. Bounds are on the
    scale of the scores. A row's positive is its lowest one, so that no negative is as near to any.
    """

    kind: ClassVar[str] = "negatives"
    refused: ClassVar[tuple[str, ...]] = ("score_threshold", "prune", "on_error", "max_documents")
    into: str = "negatives_ranking"
    documents_into: str | None = "negatives"
    count: int | None = None
    """How many, from 1; ``None`` for all within the bounds."""
    range_min: int = 0
    """The first rank that is taken: those before it may be positives that nobody labelled."""
    range_max: int | None = None
    """The first rank that isn't taken any more; ``None`` for no bound."""
    min_score: float | None = None
    max_score: float | None = None
    absolute_margin: float | None = None
    """How far below the positive's score a negative's is at least."""
    relative_margin: float | None = None
    """The same as a share of the positive's score: 0.05 takes up to 95 % of it."""

    def __post_init__(self) -> None:
        Task.__post_init__(self)
        check_positive_int("negatives", self.count, otherwise="None for all within the bounds")
        for name, given in (("range_min", self.range_min), ("range_max", self.range_max)):
            whole = isinstance(given, Integral) and not isinstance(given, bool) and given >= 0
            if not whole and not (name == "range_max" and given is None):
                raise InvalidRequestError(f"{name} must be a rank from 0, not {given!r}")
        if self.range_max is not None and self.range_max <= self.range_min:
            raise InvalidRequestError(
                f"range_max={self.range_max} must be above range_min={self.range_min}"
            )
        for name in ("min_score", "max_score", "absolute_margin", "relative_margin"):
            check_score_threshold(name, getattr(self, name))
        if self.relative_margin is not None and not 0 <= self.relative_margin < 1:
            raise InvalidRequestError(
                f"relative_margin must be a share from 0 to below 1, not {self.relative_margin!r}"
            )

    def check_options(self, options: dict[str, Any]) -> None:
        """Raise ``InvalidRequestError`` for scores that a share of them says nothing of, too."""
        Task.check_options(self, options)
        if self.relative_margin is not None and options.get("normalization") == "none":
            raise InvalidRequestError(
                "relative_margin is a share of a score from 0 to 1, and normalization='none' gives "
                "logits, which may be negative; give absolute_margin"
            )

    def select(self, row: Row, ranking: Ranking) -> Sequence[RankedDocument]:
        """The best ``count`` within the bounds."""
        found: dict[str | None, RankedDocument] = {}
        positives = []
        for result in ranking:
            assert result.score is not None, "options that leave documents unscored are refused"
            if result.index in row.positives:
                positives.append(result.score)
            # What isn't among the documents is a positive.
            else:
                found.setdefault(row.texts[result.index], result)
        if not positives:
            return ()
        lowest, highest = self._bounds(min(positives))
        ranked = list(found.values())[self.range_min : self.range_max]
        kept = [each for each in ranked if lowest <= (each.score or 0.0) <= highest]
        return kept[: self.count]

    def _bounds(self, positive: float) -> tuple[float, float]:
        most = [float("inf") if self.max_score is None else self.max_score]
        if self.absolute_margin is not None:
            most.append(positive - self.absolute_margin)
        if self.relative_margin is not None:
            most.append(positive * (1 - self.relative_margin))
        return float("-inf") if self.min_score is None else self.min_score, min(most)


_TASKS: dict[str, type[Task]] = {each.kind: each for each in (Rank, Score, Negatives)}


def task_of(content: dict[str, Any]) -> Task:
    """The task that ``to_dict`` wrote."""
    kind = _TASKS[content["kind"]]
    return kind(**{each.name: content[each.name] for each in fields(kind)})
