"""Views of a ranking that tests share."""

from __future__ import annotations

from resift import Ranking


def order(ranking: Ranking) -> list[int]:
    """The documents' indices, best first."""
    return [each.index for each in ranking]


def facts(ranking: Ranking) -> list[tuple[int, float | None, float | None, int]]:
    """All that says how one document fared, of each, best first."""
    return [(each.index, each.score, each.logit, each.truncated_tokens) for each in ranking]
