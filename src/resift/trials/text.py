"""The table on a terminal."""

from __future__ import annotations

from textwrap import wrap

from resift.reports.html import printable
from resift.trials.advice import advise
from resift.trials.found import Figures
from resift.trials.measuring import JUDGED_ONLY, MEASURES, PRIMARY

_WIDTH = 100


def table(report: Figures) -> str:
    """Warnings, measures by ranker with their differences from the first, and the advice."""
    lines = []
    for each in report.defects:
        lines += _wrapped(
            f"{each.level}: ", f"{each.name} ({each.where}): {each.said}. {each.advice}."
        )
    if lines:
        lines.append("")
    found = report.collection
    judged = "judged" if found.grades is not None else "not judged"
    lines.append(
        f"{found.name}: {len(found.queries)} queries, {judged}, up to {found.depth} candidates"
    )
    lines += _measures(report) if found.grades is not None else _agreement(report)
    lines += ["", *_wrapped("", advise(report))]
    return "".join(f"{printable(line)}\n" for line in lines)


def _measures(report: Figures) -> list[str]:
    first = report.runs[0].name
    header = ["ranker", *MEASURES, "judged only", f"{PRIMARY} over {first}", "p (Holm)"]
    rows = [header]
    for run in report.runs:
        means = run.means or {}
        row = [run.name, *(f"{means[each]:.4f}" for each in (*MEASURES, JUDGED_ONLY))]
        compared = report.comparisons[PRIMARY].get(run.name)
        row += (
            ["", ""] if compared is None else [str(compared.difference), f"{compared.p_holm:.2g}"]
        )
        rows.append(row)
    return aligned(rows)


def _agreement(report: Figures) -> list[str]:
    rows = [["ranker", "Kendall's tau", "RBO", "new in the first 10", "same first"]]
    for run in report.runs:
        if run.agreement and run.agreement.tau is not None:
            each = run.agreement
            figures = (each.tau, each.rbo, each.moved, each.same_first)
            rows.append([run.name, *("" if x is None else f"{x:.3f}" for x in figures)])
    return aligned(rows)


def aligned(rows: list[list[str]]) -> list[str]:
    """Rows of cells as lines, the first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _wrapped(start: str, text: str) -> list[str]:
    return wrap(text, _WIDTH, initial_indent=start, subsequent_indent=" " * len(start))
