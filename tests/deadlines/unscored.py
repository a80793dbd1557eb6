"""Ten documents, and which of them have no score."""

from __future__ import annotations

from resift import Ranking

# Of five tokens each, with the query and special ones; the last is the best.
TEXTS = [f"w{n}" for n in range(10)]


def unscored(ranking: Ranking) -> list[int]:
    found = [each for each in ranking if each.score is None]
    assert all(each.logit is None and each.posterior is None for each in found)
    return [each.index for each in found]
