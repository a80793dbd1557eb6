"""A scorer with others to take its place where it fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from resift.call import Call
from resift.errors import InvalidRequestError
from resift.request import Request
from resift.scoring.asking import ask, non_finite
from resift.scoring.ready import check_is_scorer
from resift.scoring.scorer import Scored, Scorer, Source, rebuilt

_logger = logging.getLogger(__name__)


class Fallback:
    """Asks ``first``, and where that fails the ``others`` in their order.

    Any error is a failure but ``InvalidRequestError``, which is the caller's, and cancellation; so
    are logits that are NaN or infinite, for the requests that have them. Each failure is a warning
    in the log, and what another scorer answered has the status ``"fallback"``. Where all fail, the
    first error is raised, with a note of each of the others.

    Raises ``InvalidRequestError`` for fewer than two scorers.
    """

    def __init__(self, first: Scorer, *others: Scorer) -> None:
        self._scorers = (first, *others)
        if not others:
            raise InvalidRequestError(
                "expected a scorer to fall back to: Fallback(first, another), and got one alone"
            )
        for index, scorer in enumerate(self._scorers):
            check_is_scorer(f"scorer {index + 1} of a Fallback", scorer)

    @property
    def source(self) -> Source:
        """The first scorer's source."""
        return self._scorers[0].source

    def warm_up(self, call: Call) -> None:
        """Load the first scorer; where that fails, the next. Raises the first error if all fail."""
        errors: list[Exception] = []
        for place, scorer in enumerate(self._scorers):
            try:
                scorer.warm_up(call)
            except InvalidRequestError:
                raise
            except Exception as error:
                errors.append(error)
                self._log(place, error)
            else:
                return
        raise _first_of(errors)

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:
        """Answer each request by the first scorer that can."""
        answers: dict[int, Scored] = {}
        errors: list[Exception] = []
        waiting = list(range(len(requests)))
        for place, scorer in enumerate(self._scorers):
            asked = [requests[i] for i in waiting]
            try:
                given = dict(zip(waiting, ask(scorer, asked, call), strict=True))
            except InvalidRequestError:
                raise
            except Exception as error:
                errors.append(error)
                self._log(place, error)
                continue
            wrong = {i: non_finite(requests[i], answer) for i, answer in given.items()}
            waiting = [i for i, error in wrong.items() if error is not None]
            answers.update(
                (i, _instead(answer) if place else answer)
                for i, answer in given.items()
                if i not in waiting
            )
            if not waiting:
                return [answers[i] for i in range(len(requests))]
            found = [error for error in wrong.values() if error is not None]
            errors += found
            self._log(place, found[0])
        raise _first_of(errors)

    def rebuilt(self, wrap: Callable[[Scorer], Scorer]) -> Fallback:
        """The same scorers, with ``wrap`` around each model in them."""
        return Fallback(*(rebuilt(each, wrap) for each in self._scorers))

    def _log(self, place: int, error: Exception) -> None:
        names = [each.source.model for each in self._scorers[place : place + 2]]
        then = f"{names[1]} is asked in its place" if names[1:] else "Nothing is left to ask"
        _logger.warning(
            "%s failed: %s: %s. %s", names[0], type(error).__name__, error, then, exc_info=error
        )

    def __repr__(self) -> str:
        return f"Fallback({', '.join(map(repr, self._scorers))})"


def _instead(answer: Scored) -> Scored:
    return replace(answer, source=replace(answer.source, status="fallback"))


def _first_of(errors: Sequence[Exception]) -> Exception:
    """The first error, with a note of each of the others."""
    first, *others = errors
    for each in others:
        note = f"What was asked in its place failed too: {type(each).__name__}: {each}"
        # A scorer may raise the same error object again and again.
        if note not in getattr(first, "__notes__", ()):
            first.add_note(note)
    return first
