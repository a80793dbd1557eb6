"""One person's way through a pool, whatever shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from resift.errors import InvalidRequestError
from resift.files.grades import Label
from resift.labelling.labels import LabelsFile
from resift.labelling.pool import Pair, Pool

_MEANINGS = {0: "not relevant", 1: "related", 2: "answers in part", 3: "answers"}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Session:
    """Which pair is next, and what was done; each grade goes to the file at once."""

    def __init__(
        self,
        pool: Pool,
        file: LabelsFile,
        grades: Sequence[int],
        by: str | None = None,
        now: Callable[[], str] = _now,
    ) -> None:
        self.pairs, self.grades = pool.pairs, grades
        self._file, self._now = file, now
        self._by = _author(file, by)
        positions = {pair.key: at for at, pair in enumerate(self.pairs)}
        self._before = [positions[key] for key in file.labels if key in positions]
        self._open = dict.fromkeys(at for at in range(len(self.pairs)) if self.given(at) is None)
        self._again: int | None = None
        self.skipped: set[int] = set()

    @property
    def at(self) -> int | None:
        """The place of the pair to show; ``None`` at the end."""
        return self._again if self._again is not None else next(iter(self._open), None)

    @property
    def done(self) -> int:
        """Count the pairs of the pool that have a grade."""
        return sum(self.given(at) is not None for at in range(len(self.pairs)))

    def meaning(self, grade: int) -> str:
        """Say what a grade means; empty unless grades are some of 0 to 3."""
        return _MEANINGS[grade] if set(self.grades) <= set(_MEANINGS) else ""

    def pair(self, at: int) -> Pair:
        """The pair at a place."""
        return self.pairs[at]

    def given(self, at: int) -> int | None:
        """The grade that a pair has."""
        label = self._file.labels.get(self.pairs[at].key)
        return None if label is None else label.grade

    def grade(self, at: int, grade: int) -> None:
        """Give a pair a grade, in place of one that it has."""
        if grade not in self.grades:
            raise InvalidRequestError(f"grade {grade!r} must be one of {list(self.grades)}")
        self._file.append(Label(*self.pairs[at].key, grade, self._by, self._now()))
        self.skipped.discard(at)
        self._leave(at)

    def skip(self, at: int) -> None:
        """Leave a pair as it is; the next session asks for it again if it has no grade."""
        if self.given(at) is None:
            self.skipped.add(at)
        self._leave(at)

    def back(self) -> bool:
        """Show the pair before again. It keeps its grade until it gets another one."""
        if not self._before:
            return False
        self._again = self._before.pop()
        return True

    def _leave(self, at: int) -> None:
        self._open.pop(at, None)
        if at in self._before:
            self._before.remove(at)
        self._before.append(at)
        self._again = None


def _author(file: LabelsFile, by: str | None) -> str | None:
    """The one who labels: as said, or else as before. A file has one."""
    names = {label.by for label in file.labels.values()}
    if by is None and len(names) == 1:
        return names.pop()
    if names - {by}:
        others = ", ".join(sorted(map(repr, names - {by})))
        raise InvalidRequestError(
            f"the labels file has labels by {others}, and these would be by {by!r}; "
            "give the same --by, or another --out"
        )
    return by
