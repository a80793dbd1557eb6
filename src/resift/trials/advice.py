"""One sentence of advice, with its interval, of all that was measured."""

from __future__ import annotations

from resift.trials.found import Figures
from resift.trials.measuring import PRIMARY

_FEW = 30
_NEAR = 0.005
"""Less nDCG than this is no reason for a slower ranker."""


def advise(report: Figures) -> str:
    """Say which ranker to use, and how deep."""
    parts = []
    if report.warnings:
        names = dict.fromkeys(each.name for each in report.warnings)
        parts.append(
            f"First see to the warnings ({', '.join(names)}): they may change the figures."
        )
    if report.collection.grades is None:
        parts.append(
            "There are no judgements, so nothing here says which order is better: judge some "
            "documents with resift label, and evaluate again."
        )
        return " ".join(parts)
    parts.append(_choice(report))
    if len(report.collection.queries) < _FEW:
        parts.append(f"With {len(report.collection.queries)} queries, little is certain.")
    return " ".join(parts)


def _choice(report: Figures) -> str:
    compared = report.comparisons[PRIMARY]
    first = report.runs[0]
    if not compared or first.means is None:
        return f"{first.name} has nothing to be compared with: give two rankers or more."
    quality = {each.name: (each.means or {}).get(PRIMARY, 0.0) for each in report.runs}
    gains = {
        name: each for name, each in compared.items() if each.certain and each.difference.mean > 0
    }
    n = len(report.collection.queries)
    if not gains:
        best = max(compared, key=lambda each: compared[each].difference.mean)
        shown = f"{PRIMARY} {compared[best].difference} for {best}, over {n} queries"
        if compared[best].difference.high < 0:
            return f"Stay with {first.name}: all others are worse ({shown})."
        return f"Nothing is better than {first.name} for certain ({shown})."
    top = max(quality[name] for name in gains)
    # Of those that are as good, the one that was given first, the simplest.
    chosen = next(name for name in gains if quality[name] >= top - _NEAR)
    comparison = gains[chosen]
    said = (
        f"Use {chosen}: {PRIMARY} {quality[first.name]:.3f} → {quality[chosen]:.3f}, "
        f"{comparison.difference} over {first.name}, {n} queries, "
        f"p = {comparison.p_holm:.2g} after Holm."
    )
    return f"{said} {_depth(report, chosen)}".strip()


def _depth(report: Figures, name: str) -> str:
    curve = next((each for each in report.curves if each.ranker == name), None)
    if curve is None or curve.knee is None:
        return ""
    knee = curve.knee
    if knee.depth == curve.depths[-1]:
        return f"Rerank all {knee.depth} candidates: fewer lose more than 5 % of the gain."
    said = (
        f"{knee.depth} candidates are enough: they keep {100 * knee.kept:.0f} % of the largest "
        f"gain, {knee.lost} against {curve.depths[-1]}"
    )
    if knee.saved_ms is None or knee.saved_share is None:
        return f"{said}."
    share = 100 * knee.saved_share
    return f"{said}, and save {knee.saved_ms:.0f} ms of a query's time ({share:.0f} %)."
