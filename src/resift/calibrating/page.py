"""The report of a calibration as one page that works offline."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from resift.calibrating.fitting import FittedCalibration
from resift.calibrating.plots import reliability_plot
from resift.calibrating.report import CalibrationReport, shown_curve
from resift.evaluation.reliability import Bin, Quality

_STYLE = """
body { font: 16px/1.5 sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { border-bottom: 1px solid; padding: .2rem .8rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.plots { display: flex; flex-wrap: wrap; gap: 1rem; }
figure { margin: 0; }
:root { color-scheme: light dark; }
"""


def write_report(fitted: FittedCalibration, folder: Path) -> Path:
    """Write ``report.html`` and ``report.json`` into a folder; return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {**fitted.normalization.to_dict(), "report": fitted.report.to_dict()}
    text = json.dumps(content, indent=1, allow_nan=False) + "\n"
    (folder / "report.json").write_text(text, encoding="utf-8")
    page = folder / "report.html"
    page.write_text(_page(fitted), encoding="utf-8")
    return page


def _page(fitted: FittedCalibration) -> str:
    report, calibration = fitted.report, fitted.normalization
    named = calibration.name or calibration.model
    title = f"Calibration of {calibration.model}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p><strong>{escape(report.advice)}</strong> Log loss over the sigmoid's: "
        f"{escape(str(report.over_sigmoid))}.</p>",
        _table(
            ("", ""),
            [
                ("name", named),
                ("score", shown_curve(calibration)),
                ("labels", report.labels),
                ("pairs", f"{report.pairs} of {report.queries} queries"),
                ("relevant in the fit", f"{report.share_in_fit:.2%}"),
                ("relevant in use", f"{report.share_in_use:.2%}"),
                ("digest", calibration.digest or "none: known by its name"),
            ],
        ),
        "<h2>How well the chances hold</h2>",
        "<p>On queries that the curve wasn't fitted on. 95 % intervals, by bootstrap over queries; "
        "those of bins are Wilson's.</p>",
        _qualities(report),
        _figures(report),
        _trials(report),
        _thresholds(report),
        *(f"<p>{escape(note)}</p>" for note in report.notes),
        *(_bin_tables(name, each) for name, each in _named(report)),
    ]
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _named(report: CalibrationReport) -> list[tuple[str, Quality]]:
    found = [("sigmoid", report.before), ("calibrated", report.after)]
    if report.in_use is not None and report.in_use_unshifted is not None:
        found += [("in use, not shifted", report.in_use_unshifted), ("in use", report.in_use)]
    return found


def _qualities(report: CalibrationReport) -> str:
    rows = [
        (name, str(each.log_loss), str(each.brier), str(each.ece)) for name, each in _named(report)
    ]
    return _table(("", "log loss", "Brier", "ECE, equal counts"), rows)


def _figures(report: CalibrationReport) -> str:
    figures = [
        f"<figure>{reliability_plot(f'Reliability: {name}', each.equal_counts, each.histogram)}"
        f"<figcaption>{escape(name)}</figcaption></figure>"
        for name, each in _named(report)
    ]
    return f'<div class="plots">{"".join(figures)}</div>'


def _trials(report: CalibrationReport) -> str:
    if not report.trials:
        return ""
    rows = [(each.kind, f"{each.log_loss:.4f}", str(each.over_best)) for each in report.trials]
    return (
        "<h2>Kinds that were tried</h2><p>The simplest that isn't certainly worse than the best "
        f"was taken: {escape(report.kind)}.</p>"
        + _table(("kind", "log loss", "over the best"), rows)
    )


def _thresholds(report: CalibrationReport) -> str:
    if not report.thresholds:
        return ""
    return "<h2>Thresholds</h2><ul>" + "".join(
        f"<li>{escape(str(each))}</li>" for each in report.thresholds
    ) + "</ul>"  # fmt: skip


def _bin_tables(name: str, found: Quality) -> str:
    return (
        f"<details><summary>Bins: {escape(name)}</summary>"
        f"<h3>Equal counts</h3>{_bins(found.equal_counts)}"
        f"<h3>Equal widths</h3>{_bins(found.equal_widths)}</details>"
    )


def _bins(bins: Sequence[Bin]) -> str:
    rows = [
        (
            f"{each.low:.4f} to {each.high:.4f}",
            str(each.pairs),
            f"{each.predicted:.4f}",
            f"{each.observed:.4f}",
            f"{each.observed_low:.4f} to {each.observed_high:.4f}",
        )
        for each in bins
    ]
    return _table(("score", "pairs", "predicted", "observed", "interval"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    first = "".join(f'<th scope="col">{escape(each)}</th>' for each in head)
    top = f"<thead><tr>{first}</tr></thead>" if any(head) else ""
    body = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(each)}</td>" for each in row[1:])
        + "</tr>"
        for row in rows
    )
    return f"<table>{top}<tbody>{body}</tbody></table>"
