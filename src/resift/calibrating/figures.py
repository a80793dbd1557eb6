"""The plot of a calibration: what was predicted against what was observed."""

from __future__ import annotations

from resift.evaluation.reliability import Quality
from resift.reports.plots import COLOURS, FAINT, plot


def reliability_figure(number: int, title: str, found: Quality) -> str:
    """Draw bins of equal counts with their intervals, and a histogram of the scores below.

    ``number`` tells the page's figures apart. Returns an ``<svg>`` element.
    """
    bins = found.equal_counts
    said = "; ".join(
        f"predicted {each.predicted:.2f}, observed {each.observed:.2f} "
        f"({each.observed_low:.2f} to {each.observed_high:.2f})"
        for each in bins
    )
    name, size, heights = f"reliability-{number}", (4.4, 2.7), (4, 1)
    with plot(name, title, said, size=size, rows=2, sharex=True, height_ratios=heights) as drawn:
        (curve,), (counts,) = drawn.panels
        observed = [each.observed for each in bins]
        below = [max(0.0, each.observed - each.observed_low) for each in bins]
        above = [max(0.0, each.observed_high - each.observed) for each in bins]
        curve.axline((0, 0), slope=1, color=FAINT, lw=1, ls=":")
        curve.errorbar(
            [each.predicted for each in bins],
            observed,
            yerr=(below, above),
            fmt="o",
            color=COLOURS[0],
            markersize=5,
            capsize=3,
        )
        # Shares that were estimated from clicks may be above 1.
        highest = max(1.0, *(each.observed_high for each in bins))
        curve.set(xlim=(-0.02, 1.02), ylim=(-0.02, highest + 0.02))
        curve.set_ylabel("share that is relevant")
        edges = [at / len(found.histogram) for at in range(len(found.histogram) + 1)]
        counts.stairs(found.histogram, edges, fill=True, color=COLOURS[0], alpha=0.6)
        counts.set(xlabel="score (dotted: as predicted)", ylabel="pairs")
    return drawn.svg
