"""Scores that aren't what they should be: sigmoids of sigmoids, ties, the wrong direction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from resift.trials.defects.defect import SHARE, Defect, share

Scores = Mapping[str, NDArray[np.float64]]
"""``float64 [candidates]`` by query, in the order of the ranker; NaN where there is none."""

_LEAST = 20
_TOP = 1 / (1 + math.exp(-1))
_ENDS = 0.01
_TIED = 0.1
_GROUP = 4
_RISING = 0.01


def doubled_sigmoid(scores: Scores, where: str) -> Defect | None:
    """All scores from 0.5 to 0.731, and some near an end, as sigmoids of sigmoids are."""
    values = _all(scores)
    if len(values) < _LEAST or values.min() < 0.5 - 1e-6 or values.max() > _TOP + 1e-3:
        return None
    near = np.count_nonzero((values < 0.5 + _ENDS) | (values > _TOP - _ENDS))
    if near < SHARE * len(values):
        return None
    return Defect(
        name="doubled sigmoid",
        where=where,
        said=f"all {len(values)} scores are from {values.min():.4f} to {values.max():.4f}: "
        f"sigmoids of sigmoids are from 0.5 to {_TOP:.4f}",
        advice="A sigmoid is taken twice, by the model and by what serves it: switch one off. The "
        "order may be right, but thresholds and calibrations mean nothing",
        evidence={"lowest": float(values.min()), "highest": float(values.max())},
    )


def constant(scores: Scores, where: str) -> Defect | None:
    """Queries all of whose candidates have the same score."""
    judged = {query: each[np.isfinite(each)] for query, each in scores.items()}
    several = {query: each for query, each in judged.items() if len(each) > 2}
    same = [query for query, each in several.items() if np.ptp(each) == 0]
    if len(same) < max(1, SHARE * len(several)):
        return None
    return Defect(
        name="constant scores",
        where=where,
        said=f"{share(len(same), len(several))} queries have one score for all of their candidates",
        advice="Such a score orders nothing: see what computes it",
        evidence={"queries": len(same), "examples": same[:5]},
    )


def saturated(scores: Scores, where: str) -> Defect | None:
    """Scores rounded or saturated, so that many candidates of a query share one."""
    tied, several, at = [], 0, []
    for query, each in scores.items():
        values = each[np.isfinite(each)]
        if len(values) <= _GROUP:
            continue
        several += 1
        kinds, counts = np.unique(values, return_counts=True)
        if len(kinds) > 1 and counts.max() >= max(_GROUP, _TIED * len(values)):
            tied.append(query)
            at.append(float(kinds[counts.argmax()]))
    if len(tied) < max(1, several * _TIED):
        return None
    common = max(set(at), key=at.count)
    return Defect(
        name="saturated scores",
        where=where,
        said=f"in {share(len(tied), several)} queries a tenth of the candidates or more share one "
        f"score, most often {common:.6g}",
        advice="They can't be told apart, so their order is chance: hand over unrounded scores, or "
        "logits in place of a saturated sigmoid",
        evidence={"queries": len(tied), "score": common, "examples": tied[:5]},
    )


def against_order(scores: Scores, where: str, contradicted: int = 0) -> Defect | None:
    """Scores that rise along the order they came in; ``contradicted`` counts those of ranks."""
    pairs = rising = 0
    for each in scores.values():
        values = each[np.isfinite(each)]
        spread = float(np.ptp(values)) if len(values) else 0.0
        pairs += max(0, len(values) - 1)
        # Equal but for rounding.
        rising += int(np.count_nonzero(np.diff(values) > 1e-6 * spread))
    rising += contradicted
    if rising < max(1, _RISING * pairs):
        return None
    all_of_them = rising > 0.9 * pairs
    return Defect(
        name="scores against the order",
        where=where,
        said=f"{share(rising, pairs)} neighbours have a score that is better than the one before",
        advice="They rise where they should fall: if they are distances, hand them over negated"
        if all_of_them
        else "Order and scores come from different sources: sort by the score, or leave it out",
        evidence={"neighbours": rising},
    )


def not_finite(scores: Scores, where: str, given: int) -> Defect | None:
    """Scores that are missing or no numbers, where others aren't; ``given``: how many there are."""
    finite = sum(int(np.isfinite(each).sum()) for each in scores.values())
    total = sum(map(len, scores.values()))
    if not given or finite == total:
        return None
    return Defect(
        name="missing scores",
        where=where,
        said=f"{share(total - finite, total)} candidates have no finite score",
        advice="See why what scores them gives none, or NaN",
        evidence={"candidates": total - finite},
    )


def reversed_order(
    values: NDArray[np.float64], turned: NDArray[np.float64], where: str
) -> Defect | None:
    """An order that is better when it is turned round.

    ``values`` and ``turned``: nDCG@10 by query (``float64 [queries]``) of the order and of its
    reverse.
    """
    from resift.trials.significance import LEVEL, paired_randomization

    if len(values) < 5 or turned.mean() <= values.mean():
        return None
    if paired_randomization(turned, values) >= LEVEL:
        return None
    return Defect(
        name="order turned round",
        where=where,
        said=f"its order from the last to the first has nDCG@10 {turned.mean():.4f}, more than the "
        f"{values.mean():.4f} as it is",
        advice="A distance is sorted as a similarity, or the sign of a score is lost",
        evidence={"turned": float(turned.mean()), "given": float(values.mean())},
    )


def _all(scores: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    parts: Sequence[NDArray[np.float64]] = list(scores.values())
    values = np.concatenate(parts) if parts else np.zeros(0)
    return values[np.isfinite(values)]
