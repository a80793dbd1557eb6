"""The plots of an evaluation's report."""

from __future__ import annotations

from resift.reports.plots import (
    COLOURS,
    DASHES,
    FAINT,
    HATCHES,
    MARKERS,
    label,
    plot,
    style,
)
from resift.trials.found import Figures, RunReport

_KINDS = ("first stage", "whole", "depth", "prune", "cascade", "deadline")


def depth_figure(report: Figures) -> str:
    """Quality by depth, a line for each ranker, with the knees."""
    said = "; ".join(
        f"{each.ranker}: "
        + ", ".join(f"{q:.3f} at {d}" for d, q in zip(each.depths, each.quality, strict=True))
        for each in report.curves
    )
    with plot("depth", "nDCG@10 by the number of candidates reranked", said) as drawn:
        for number, each in enumerate(report.curves):
            drawn.axes.plot(each.depths, each.quality, label=label(each.ranker), **style(number))
            if each.knee:
                at = each.depths.index(each.knee.depth)
                drawn.axes.annotate(
                    f"knee: {each.knee.depth}",
                    (each.knee.depth, each.quality[at]),
                    textcoords="offset points",
                    xytext=(6, -14 - 10 * number),
                    fontsize="small",
                )
        drawn.axes.axhline(report.curves[0].first_stage, color=FAINT, lw=1, ls=":")
        drawn.axes.set_xlabel("candidates reranked (dotted: first stage alone)")
        drawn.axes.set_ylabel("nDCG@10")
        drawn.axes.legend()
    return drawn.svg


def latency_figure(report: Figures) -> str:
    """Milliseconds by depth, a line for each ranker."""
    timed = [each for each in report.curves if each.milliseconds]
    said = "; ".join(
        f"{each.ranker}: "
        + ", ".join(
            f"{ms:.0f} ms at {d}"
            for d, ms in zip(each.depths, each.milliseconds or (), strict=True)
        )
        for each in timed
    )
    with plot(
        "latency", "Milliseconds of a query by the number of candidates reranked", said
    ) as drawn:
        for number, each in enumerate(timed):
            drawn.axes.plot(
                each.depths,
                list(each.milliseconds or ()),
                label=label(each.ranker),
                **style(number),
            )
        drawn.axes.set_xlabel("candidates reranked")
        drawn.axes.set_ylabel("median milliseconds")
        drawn.axes.set_ylim(bottom=0)
        drawn.axes.legend()
    return drawn.svg


def budget_figure(report: Figures) -> str:
    """Quality by milliseconds, a marker for each way to rank, and the front."""
    points = report.budget.points if report.budget else ()
    said = "; ".join(
        f"{each.name}: {each.quality:.3f} in {each.milliseconds:.0f} ms"
        + (" (on the front)" if each.on_front else "")
        for each in points
    )
    with plot("budget", "nDCG@10 by milliseconds of a query", said) as drawn:
        for number, kind in enumerate(_KINDS):
            of_kind = [each for each in points if each.kind == kind]
            if of_kind:
                drawn.axes.plot(
                    [each.milliseconds for each in of_kind],
                    [each.quality for each in of_kind],
                    linestyle="none",
                    marker=MARKERS[number],
                    color=COLOURS[number],
                    label=kind,
                )
        best = sorted((each.milliseconds, each.quality) for each in points if each.on_front)
        drawn.axes.step(
            [each[0] for each in best],
            [each[1] for each in best],
            where="post",
            color=FAINT,
            lw=1,
            label="Pareto front",
        )
        drawn.axes.set_xlabel("median milliseconds of a query")
        drawn.axes.set_ylabel("nDCG@10")
        drawn.axes.legend(fontsize="small")
    return drawn.svg


def score_figure(run: RunReport, number: int) -> str:
    """The scores of one ranker, by what is known of the documents."""
    found = run.histogram()
    edges = found["edges"]
    said = "; ".join(
        f"{kind}: {len(each)} scores, median {each[len(each) // 2]:.3g}, from {each[0]:.3g} to "
        f"{each[-1]:.3g}"
        for kind, each in run.scores.items()
    )
    with plot(f"scores-{number}", f"Scores of {run.name}", said) as drawn:
        for place, (kind, counts) in enumerate(found["counts"].items()):
            total = max(sum(counts), 1)
            drawn.axes.stairs(
                [each / total for each in counts],
                edges,
                label=kind,
                fill=False,
                hatch=HATCHES[(place + 1) % len(HATCHES)],
                color=COLOURS[place],
                linestyle=DASHES[place],
                linewidth=1.5,
            )
        drawn.axes.set_xlabel("logit" if run.run.scale == "logit" else "score")
        drawn.axes.set_ylabel("share of its kind")
        drawn.axes.legend()
    return drawn.svg
