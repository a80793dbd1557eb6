"""The look of all plots: inline SVG that is read in black and white, in the dark, and aloud."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from resift.errors import BackendUnavailableError
from resift.reports.html import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (7.2, 4.0)
"""Inches: 720 points of the page at most."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DASHES: tuple[Any, ...] = (
    "-",
    (0, (6, 2)),
    (0, (2, 2)),
    (0, (6, 2, 1, 2)),
    (0, (1, 1)),
    (0, (9, 3)),
)
# Of Okabe and Ito, which people who don't see all colours can tell apart, on white and on black.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a7500", "#56b4e9")
FAINT = "#777777"
"""Of lines that others are compared with."""
HATCHES = ("", "//", "\\\\", "xx")
_SETTINGS = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": "medium",
    "font.family": "sans-serif",
    "font.size": 10,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.formatter.use_mathtext": False,
}


def style(number: int) -> dict[str, Any]:
    """The marker, dashes and colour of a plot's line by its number, from 0: each tells it apart."""
    return {
        "marker": MARKERS[number % len(MARKERS)],
        "linestyle": DASHES[number % len(DASHES)],
        "color": COLOURS[number % len(COLOURS)],
        "markersize": 5,
        "linewidth": 1.5,
    }


def label(name: str) -> str:
    """A name as a legend has it: printable, short, and never hidden."""
    text = printable(name)
    # matplotlib leaves out what begins with an underscore.
    return shorten(text, 60, placeholder=" …").lstrip("_") or "?"


def logarithmic(axes: Axes, which: str = "xy") -> None:
    """Give the axes ``which`` names a logarithmic scale, whose numbers are written out."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    for name in which:
        axes.set(**{f"{name}scale": "log"})
        axis = getattr(axes, f"{name}axis")
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_formatter(NullFormatter())


class Plot:
    """A plot that is being drawn; ``svg`` and ``file`` have it when it is done."""

    def __init__(self, figure: Figure, panels: Sequence[Sequence[Axes]]) -> None:
        self.figure, self.panels = figure, panels
        self.svg = ""
        """A part of a page."""
        self.file = ""
        """A file of its own, on white."""

    @property
    def axes(self) -> Axes:
        """The first panel."""
        return self.panels[0][0]


@contextmanager
def plot(
    name: str,
    title: str,
    description: str,
    *,
    size: tuple[float, float] = SIZE,
    rows: int = 1,
    columns: int = 1,
    **grid: Any,
) -> Iterator[Plot]:
    """Draw on ``.axes`` of what is yielded, or its ``.panels``; then it has the finished picture.

    ``name`` is unique on the page, of letters, digits and ``-``; ``title`` and ``description`` say
    to those who don't see it what it shows. ``size``: inches of a panel; ``grid`` is given to
    ``Figure.subplots``. The same plot gives the same SVG. Raises ``BackendUnavailableError``
    without the extra ``evaluate``.
    """
    require_plots()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({**_SETTINGS, "svg.hashsalt": name}):
        inches = (size[0] * columns, size[1] * rows)
        figure = Figure(figsize=inches, layout="constrained")
        drawn = Plot(figure, figure.subplots(rows, columns, squeeze=False, **grid).tolist())
        yield drawn
        written = io.StringIO()
        with warnings.catch_warnings():
            # The browser has the fonts; here they are for the layout alone.
            warnings.filterwarnings("ignore", "Glyph", UserWarning)
            figure.savefig(written, format="svg", transparent=True, metadata={"Date": None})
    drawn.svg = inline(written.getvalue(), name, title, description)
    width, height = (f"{72 * each:g}pt" for each in inches)
    opening = f'<svg width="{width}" height="{height}" color="black" font-family="sans-serif" '
    paper = '</desc><rect width="100%" height="100%" fill="white"/>'
    whole = drawn.svg.replace("<svg ", opening, 1).replace("</desc>", paper, 1)
    drawn.file = re.sub(r"[ \t]+$", "", whole, flags=re.MULTILINE)


def require_plots() -> None:
    """Raise ``BackendUnavailableError`` where plots can't be drawn."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            f"{error.name} isn't installed, which plots need: pip install 'resift[evaluate]'"
        ) from error


def inline(svg: str, name: str, title: str, description: str) -> str:
    """An SVG file as a part of a page: ids of its own, the page's colour for black, and words."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r"<style.*?</style>\s*", "", body, flags=re.DOTALL)
    body = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', body)
    body = re.sub(r'href="#', f'href="#{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r"#000000\b|(?<=fill: )black\b", "currentColor", body)
    # Text has no colour of its own where it is black.
    body = body.replace("<text ", '<text fill="currentColor" ')
    opening = body[: body.index(">") + 1]
    size = re.search(r'viewBox="[^"]+"', opening)
    words = (
        f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'{size.group() if size else ""} role="img" aria-labelledby="{name}-title {name}-desc">'
        f'<title id="{name}-title">{escape(printable(title))}</title>'
        f'<desc id="{name}-desc">{escape(printable(description))}</desc>'
    )
    return words + body[len(opening) :]
