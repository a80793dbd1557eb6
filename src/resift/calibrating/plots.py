"""Plots of a calibration as SVG: readable in black and white, with words for who can't see them."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from resift.evaluation.reliability import Bin

_SIDE, _LEFT, _TOP, _GAP, _HISTOGRAM = 320, 56, 16, 34, 70
_WIDTH, _HEIGHT = _LEFT + _SIDE + 20, _TOP + _SIDE + _GAP + _HISTOGRAM + 44


def reliability_plot(title: str, bins: Sequence[Bin], counts: Sequence[int]) -> str:
    """Draw predicted against observed, with intervals, and a histogram of scores below.

    ``counts`` are those of bars of equal width from 0 to 1. Returns an ``<svg>`` element.
    """
    said = "; ".join(
        f"predicted {each.predicted:.2f}, observed {each.observed:.2f} "
        f"({each.observed_low:.2f} to {each.observed_high:.2f})"
        for each in bins
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}" role="img" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title><desc>{escape(said)}</desc>",
        *_axes(),
        *(_point(each) for each in bins),
        *_bars(counts),
        f'<text x="{_LEFT + _SIDE / 2}" y="{_HEIGHT - 6}" text-anchor="middle">score</text>',
        "</svg>",
    ]
    return "\n".join(parts)


def _x(score: float) -> float:
    return _LEFT + _SIDE * score


def _y(share: float) -> float:
    return _TOP + _SIDE * (1 - share)


def _axes() -> list[str]:
    found = [
        f'<rect x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}" fill="none" '
        'stroke="currentColor"/>',
        f'<line x1="{_x(0)}" y1="{_y(0)}" x2="{_x(1)}" y2="{_y(1)}" stroke="currentColor" '
        'stroke-dasharray="4 4"/>',
        f'<text transform="translate(14 {_y(0.5)}) rotate(-90)" text-anchor="middle">'
        "share that is relevant</text>",
    ]
    found += [
        f'<text x="{_LEFT - 6}" y="{_y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        f'<text x="{_x(tick):.1f}" y="{_y(0) + 16}" text-anchor="middle">{tick:g}</text>'
        for tick in (0.0, 0.25, 0.5, 0.75, 1.0)
    ]
    return found


def _point(each: Bin) -> str:
    x, low, high = _x(each.predicted), _y(each.observed_low), _y(each.observed_high)
    return (
        f'<g stroke="currentColor"><title>{each.pairs} pairs: predicted {each.predicted:.3f}, '
        f"observed {each.observed:.3f} ({each.observed_low:.3f} to {each.observed_high:.3f})"
        f'</title><line x1="{x:.1f}" y1="{low:.1f}" x2="{x:.1f}" y2="{high:.1f}"/>'
        f'<line x1="{x - 4:.1f}" y1="{low:.1f}" x2="{x + 4:.1f}" y2="{low:.1f}"/>'
        f'<line x1="{x - 4:.1f}" y1="{high:.1f}" x2="{x + 4:.1f}" y2="{high:.1f}"/>'
        f'<circle cx="{x:.1f}" cy="{_y(each.observed):.1f}" r="4" fill="currentColor"/></g>'
    )


def _bars(counts: Sequence[int]) -> list[str]:
    top, most = _TOP + _SIDE + _GAP, max(1, *counts)
    width = _SIDE / len(counts)
    found = [
        f'<text x="{_LEFT - 6}" y="{top + 10}" text-anchor="end">{most}</text>'
        f'<text x="{_LEFT - 6}" y="{top + _HISTOGRAM}" text-anchor="end">0</text>'
    ]
    for at, count in enumerate(counts):
        height = _HISTOGRAM * count / most
        found.append(
            f'<rect x="{_LEFT + at * width:.1f}" y="{top + _HISTOGRAM - height:.1f}" '
            f'width="{width - 1:.1f}" height="{height:.1f}" fill="currentColor" opacity="0.6">'
            f"<title>{count} pairs</title></rect>"
        )
    return found
