"""The look of resift's own reports, and the plot of latencies that benchmarks share."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lag import percentile

# Plots are drawn in an environment without resift, or with another.
sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from resift.reports.plots import COLOURS, DASHES, FAINT, HATCHES, label, logarithmic, plot, style

__all__ = [
    "COLOURS",
    "HATCHES",
    "PANEL",
    "Curve",
    "label",
    "latencies",
    "logarithmic",
    "plot",
    "style",
]

PANEL = (5.0, 5.0)
"""Inches of one of several panels."""

Curve = Sequence[tuple[float, Sequence[float]]]
"""Requests done a second, and the latencies in seconds, from rate to rate."""


def latencies(
    name: str,
    panels: Mapping[str, Mapping[str, Curve]],
    percentiles: Sequence[float],
    bounds: Mapping[str, float] | None = None,
) -> str:
    """Draw latencies over throughput: a panel for each workload, its curves by name.

    ``percentiles`` have dashes of their own, and names markers and colours. ``bounds``: seconds
    that a panel's latencies are measured by, of
    rates so different that they need a logarithmic scale. Returns an SVG file.
    """
    names = list(dict.fromkeys(each for curves in panels.values() for each in curves))
    said = "; ".join(
        f"{panel}, {each}: "
        + ", ".join(
            f"p{100 * percentiles[-1]:.0f} {1000 * percentile(found, percentiles[-1]):.0f} ms at "
            f"{done:.1f} a second"
            for done, found in curve
        )
        for panel, curves in panels.items()
        for each, curve in curves.items()
    )
    with plot(
        name, "Latency by requests done a second", said, size=PANEL, columns=len(panels)
    ) as drawn:
        for axis, (panel, curves) in zip(drawn.panels[0], panels.items(), strict=True):
            for each, curve in curves.items():
                for share, dashes in zip(percentiles[::-1], DASHES, strict=False):
                    axis.plot(
                        [done for done, _ in curve],
                        [1000 * percentile(found, share) for _, found in curve],
                        label=label(f"{each}, p{100 * share:.0f}"),
                        **style(names.index(each)) | {"linestyle": dashes},
                    )
            if bounds:
                axis.axhline(1000 * bounds[panel], color=FAINT, lw=1, label="bound of p95")
            logarithmic(axis, "xy" if bounds else "y")
            axis.set(title=panel, xlabel="requests done a second", ylabel="latency, ms")
        handles, labels = drawn.panels[0][-1].get_legend_handles_labels()
        drawn.figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    return drawn.file
