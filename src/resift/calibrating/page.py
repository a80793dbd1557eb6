"""The report of a calibration as one page that works offline."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from resift.calibrating.figures import reliability_figure
from resift.calibrating.fitting import FittedCalibration
from resift.calibrating.report import CalibrationReport, shown_curve
from resift.evaluation.reliability import Bin, Quality
from resift.reports import html
from resift.reports.html import Part, Safe, table, tag


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
    title = f"Calibration of {fitted.normalization.model}"
    return html.page(title, "resift calibrate", list(_sections(fitted)))


def _sections(fitted: FittedCalibration) -> Iterator[Part]:
    report, calibration = fitted.report, fitted.normalization
    yield tag("p", report.advice, class_="advice")
    yield tag("p", f"Log loss over the sigmoid's: {report.over_sigmoid}.")
    yield table(
        "The calibration",
        ["", "value"],
        [
            ["name", calibration.name or calibration.model],
            ["score", shown_curve(calibration)],
            ["labels", report.labels],
            ["pairs", f"{report.pairs} of {report.queries} queries"],
            ["relevant in the fit", f"{report.share_in_fit:.2%}"],
            ["relevant in use", f"{report.share_in_use:.2%}"],
            ["digest", calibration.digest or "none: known by its name"],
        ],
    )
    yield tag("h2", "How well the chances hold")
    yield table(
        "On queries that the curve wasn't fitted on, with 95 % intervals by bootstrap over queries",
        ["scores", "log loss", "Brier", "ECE, equal counts"],
        [
            [name, str(each.log_loss), str(each.brier), str(each.ece)]
            for name, each in _named(report)
        ],
    )
    yield tag("div", _figures(report), class_="plots")
    yield from _trials(report)
    if report.thresholds:
        yield tag("h2", "Thresholds")
        yield tag("ul", [tag("li", str(each)) for each in report.thresholds])
    yield [tag("p", note) for note in report.notes]
    yield [_bin_tables(name, each) for name, each in _named(report)]


def _named(report: CalibrationReport) -> list[tuple[str, Quality]]:
    found = [("sigmoid", report.before), ("calibrated", report.after)]
    if report.in_use is not None and report.in_use_unshifted is not None:
        found += [("in use, not shifted", report.in_use_unshifted), ("in use", report.in_use)]
    return found


def _figures(report: CalibrationReport) -> Iterator[Part]:
    for number, (name, each) in enumerate(_named(report)):
        drawn = reliability_figure(number, f"Reliability: {name}", each)
        yield tag("figure", Safe(drawn), tag("figcaption", name))


def _trials(report: CalibrationReport) -> Iterator[Part]:
    if report.trials:
        yield tag("h2", "Kinds that were tried")
        yield table(
            "The simplest that isn't certainly worse than the best was taken: " + report.kind,
            ["kind", "log loss", "over the best"],
            [[each.kind, f"{each.log_loss:.4f}", str(each.over_best)] for each in report.trials],
        )


def _bin_tables(name: str, found: Quality) -> Part:
    return tag(
        "details",
        tag("summary", f"Bins: {name}"),
        _bins(f"{name}, bins of equal counts", found.equal_counts),
        _bins(f"{name}, bins of equal widths", found.equal_widths),
    )


def _bins(caption: str, bins: Sequence[Bin]) -> Part:
    rows = [
        [
            f"{each.low:.4f} to {each.high:.4f}",
            str(each.pairs),
            f"{each.predicted:.4f}",
            f"{each.observed:.4f}",
            f"{each.observed_low:.4f} to {each.observed_high:.4f}",
        ]
        for each in bins
    ]
    return table(caption, ["score", "pairs", "predicted", "observed", "interval"], rows)
