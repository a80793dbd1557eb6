"""The plot of a run: throughput, latency, and what the size of a pass changes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpu_figures import milliseconds, of_part, pairs_a_second
from look import PANEL, label, logarithmic, plot, style

_KIND = "mixed"
_TITLES = {
    "throughput": (f"{_KIND} tokens", "pairs a second"),
    "latency": ("100 × 256 tokens", "median, ms"),
    "sweep": (f"passes, {_KIND} tokens", "median by the fastest"),
}


def draw(results: Mapping[str, Any]) -> str:
    """An SVG file; empty where there is nothing to draw."""
    panels = {name: _points(results["cells"], name) for name in _TITLES}
    panels = {name: points for name, points in panels.items() if points}
    if not panels:
        return ""
    said = "; ".join(
        f"{_TITLES[panel][0]}, {curve}: "
        + ", ".join(f"{at} {value:.4g}" for at, value in points.items())
        for panel, curves in panels.items()
        for curve, points in curves.items()
    )
    title = f"Rerankers on {results['device']}"
    with plot("gpu", title, said, size=PANEL, columns=len(panels)) as drawn:
        for axis, (panel, curves) in zip(drawn.panels[0], panels.items(), strict=True):
            places = list(dict.fromkeys(at for points in curves.values() for at in points))
            for number, (curve, points) in enumerate(curves.items()):
                lines = {} if panel == "sweep" else {"linestyle": "none"}
                axis.plot(
                    [places.index(at) for at in points],
                    list(points.values()),
                    label=label(curve),
                    **style(number) | lines,
                )
            axis.set_xticks(range(len(places)), [label(at) for at in places], rotation=30)
            for tick in axis.get_xticklabels():
                tick.set_horizontalalignment("right")
            what, unit = _TITLES[panel]
            axis.set(title=what, ylabel=unit)
            if panel != "sweep":
                logarithmic(axis, "y")
            axis.legend(fontsize="small")
    return drawn.file


def _points(cells: Mapping[str, Any], part: str) -> dict[str, dict[str, float]]:
    """For each curve, values by place: by system and shape, or by shape and size of passes."""
    points: dict[str, dict[str, float]] = {}
    for cell in of_part(cells, part):
        if cell["kind"] != _KIND and not (part == "latency" and cell["pairs"] == 100):
            continue
        times = {name: milliseconds(cell, name) for name in cell["systems"]}
        for name, each in times.items():
            if part == "sweep":
                points.setdefault(cell["shape"], {})[name] = each / min(times.values())
            else:
                value = pairs_a_second(cell, name) if part == "throughput" else each
                points.setdefault(name, {})[cell["shape"]] = value
    return points
