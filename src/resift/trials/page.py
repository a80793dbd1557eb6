"""The report as one HTML file: no scripts, no other files, no network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from resift.reports import html
from resift.reports.html import Part, Safe, figure, table, tag
from resift.trials import figures
from resift.trials.advice import advise
from resift.trials.agreement import Example, Shown
from resift.trials.found import Figures, RunReport
from resift.trials.groups import Group
from resift.trials.measuring import EXPLAINED, JUDGED_ONLY, MEASURES, PRIMARY
from resift.trials.significance import FLIPS


def page(report: Figures) -> str:
    """The whole page. Texts of the collection are escaped wherever they are shown."""
    title = f"Evaluation of {report.collection.name}"
    return html.page(title, "resift evaluate", list(_sections(report)))


def _sections(report: Figures) -> Iterator[Part]:
    yield from _top(report)
    if report.collection.grades is not None:
        yield from _quality(report)
        yield from _depth(report)
        yield from _budget(report)
    yield from _agreement(report)
    for run in report.runs:
        if run.effect:
            yield from _effect(run)
    yield from _groups(report)
    yield from _scores(report)
    yield from _how(report)


def _top(report: Figures) -> Iterator[Part]:
    for each in report.defects:
        word = "Warning" if each.level == "warning" else "Note"
        examples = each.evidence.get("examples", ())
        named = f" For example: {', '.join(map(str, examples))}." if examples else ""
        yield tag(
            "div",
            tag("strong", f"{word}: {each.name} ({each.where}). "),
            f"{each.said}. {each.advice}.{named}",
            class_=each.level,
        )
    yield tag("h2", "What to do")
    yield tag("p", advise(report), class_="advice")
    found = report.collection
    judged = sum(map(len, (found.grades or {}).values()))
    yield tag(
        "p",
        f"{len(found.queries)} queries, up to {found.depth} candidates each; "
        + (f"{judged} judgements." if found.grades is not None else "no judgements."),
    )


def _quality(report: Figures) -> Iterator[Part]:
    first = report.runs[0].name
    yield tag("h2", "Quality")
    names = (*MEASURES, JUDGED_ONLY)
    yield table(
        f"Means over {len(report.collection.queries)} queries; queries without candidates count 0",
        ["ranker", *MEASURES, "nDCG@10, judged only"],
        [[run.name, *(f"{(run.means or {})[each]:.4f}" for each in names)] for run in report.runs],
    )
    rows = [
        [
            f"{name}: {measure}",
            str(each.difference),
            f"{each.p:.2g}",
            f"{each.p_holm:.2g}",
            str(each.queries),
        ]
        for measure, found in report.comparisons.items()
        if measure in (PRIMARY, "RR@10", "Success@1")
        for name, each in found.items()
    ]
    if rows:
        yield table(
            f"Differences from {first}: mean, 95 % bootstrap interval, and p by paired "
            f"randomization ({FLIPS:,} sign flips), corrected by Holm for the number of rankers",
            ["ranker and measure", "difference", "p", "p (Holm)", "queries"],
            rows,
        )
    explained = [tag("li", tag("strong", name), f": {EXPLAINED[name]}") for name in names]
    yield tag("details", tag("summary", "What the measures mean"), tag("ul", explained))


def _depth(report: Figures) -> Iterator[Part]:
    if not report.curves:
        return
    yield tag("h2", "How deep to rerank")
    yield figure(figures.depth_figure(report))
    for each in report.curves:
        if each.knee:
            saved = (
                f" and saves {each.knee.saved_ms:.0f} ms of {(each.milliseconds or [0])[-1]:.0f}"
                if each.knee.saved_ms is not None
                else ""
            )
            text = (
                f"{each.ranker}: the knee is at {each.knee.depth} candidates, which keeps "
                f"{100 * each.knee.kept:.0f} % of the largest gain ({each.knee.lost} against "
                f"{each.depths[-1]}){saved}."
            )
        else:
            text = f"{each.ranker}: no depth gains anything over the first stage."
        yield tag("p", text)
        times: Sequence[float | None] = each.milliseconds or [None] * len(each.depths)
        rows = [
            [str(d), f"{q:.4f}", str(g), "" if ms is None else f"{ms:.0f}"]
            for d, q, g, ms in zip(each.depths, each.quality, each.gain, times, strict=True)
        ]
        caption = f"{each.ranker} by depth; times are medians of {each.timed_queries} queries"
        header = ["candidates", "nDCG@10", "over the first stage", "ms"]
        yield tag(
            "details", tag("summary", f"Figures of {each.ranker}"), table(caption, header, rows)
        )
    if any(each.milliseconds for each in report.curves):
        yield figure(figures.latency_figure(report))


def _budget(report: Figures) -> Iterator[Part]:
    if report.budget is None:
        return
    yield tag("h2", "What a millisecond buys")
    yield figure(figures.budget_figure(report))
    yield table(
        f"All that was tried, on {report.budget.queries} queries (a sample, so figures differ from "
        "those above), by turns; on the front is what nothing else beats in both",
        ["way", "nDCG@10", "over the first stage", "median ms", "90 % within", "front"],
        [
            [
                x.name,
                f"{x.quality:.4f}",
                "" if x.kind == "first stage" else str(x.gain),
                f"{x.milliseconds:.0f}",
                f"{x.slow:.0f}",
                "yes" if x.on_front else "",
            ]
            for x in sorted(report.budget.points, key=lambda each: each.milliseconds)
        ],
    )
    if report.budget.first_stage_ms is not None:
        yield tag(
            "p", f"The first stage itself took {report.budget.first_stage_ms:.1f} ms (median)."
        )


def _agreement(report: Figures) -> Iterator[Part]:
    rows = [
        [x.ranker, f"{x.tau:.3f}", f"{x.rbo:.3f}", f"{x.moved:.1f}", f"{x.same_first:.2f}"]
        for run in report.runs
        if (x := run.agreement) and x.tau is not None
        and x.rbo is not None and x.moved is not None and x.same_first is not None
    ]  # fmt: skip
    if not rows:
        return
    yield tag("h2", "Agreement with the first stage")
    yield table(
        "Kendall's tau over all candidates, rank-biased overlap (persistence 0.9), how many of the "
        "first 10 weren't there before, and the share of queries whose first document is the same",
        ["ranker", "tau", "RBO", "new in the first 10", "same first"],
        rows,
    )
    stable = [run.stability for run in report.runs if run.stability]
    if stable:
        yield table(
            "Stability: the largest change of a score, as a share of a query's spread of scores",
            ["ranker", "candidates shuffled", "tau of the orders", "given twice", "queries"],
            [
                [
                    x.ranker,
                    f"{x.shuffled:.2g}",
                    f"{x.same_order:.3f}",
                    f"{x.repeated:.2g}",
                    str(x.queries),
                ]
                for x in stable
            ],
        )


def _effect(run: RunReport) -> Iterator[Part]:
    assert run.effect is not None
    yield tag("h2", f"Queries that {run.name} helps and hurts")
    yield tag(
        "p",
        f"Helped {run.effect.helped}, hurt {run.effect.hurt}, same {run.effect.same}, by nDCG@10.",
    )
    for word, examples in (("hurt", run.effect.worst), ("helped", run.effect.best)):
        if examples:
            yield tag("h3", f"{word.capitalize()} most")
            yield [_example(each) for each in examples]


def _example(each: Example) -> Safe:
    sides = [
        tag("div", tag("h4", title), tag("ol", [_document(one) for one in documents]))
        for title, documents in (
            ("First stage", each.documents_before),
            ("Reranked", each.documents_after),
        )
    ]
    summary = tag("summary", f"{each.before:.2f} → {each.after:.2f}: {each.query}")
    return tag("details", summary, tag("div", sides, class_="sides"))


def _document(one: Shown) -> Safe:
    grade = "not judged" if one.grade is None else f"grade {one.grade}"
    mark = "✔ " if one.grade and one.grade > 0 else ""
    about = tag("strong", f"{mark}{one.id}")
    return tag("li", about, f" ({grade}, came {one.came}): {one.excerpt}")


def _groups(report: Figures) -> Iterator[Part]:
    runs = [run.groups for run in report.runs if run.groups]
    if not runs:
        return
    yield tag("h2", "By length")
    for each in runs:
        rows: list[Sequence[Part]] = [
            *_group_rows("query of", each.by_query),
            *_group_rows("relevant documents of", each.by_document),
            *_group_rows("truncation:", each.by_cut),
        ]
        cut = f"the model saw less than the whole of {100 * each.cut_share:.1f} % of candidates"
        yield table(
            f"{each.ranker}, nDCG@10; {cut}",
            ["queries", "number", "first stage", "reranked", "difference"],
            rows,
        )
        if each.cut_share > 0.01:
            yield tag(
                "p",
                f"Give {each.ranker} another ranker with long_documents=windows beside it to see "
                "what reading all of them would change.",
            )


def _group_rows(what: str, found: Sequence[Group]) -> list[Sequence[Part]]:
    return [
        [f"{what} {x.name}", str(x.queries), f"{x.first_stage:.4f}", f"{x.ranked:.4f}", str(x.gain)]
        for x in found
    ]


def _scores(report: Figures) -> Iterator[Part]:
    shown = [(n, run) for n, run in enumerate(report.runs) if run.scores]
    if shown:
        yield tag("h2", "Scores")
        yield [figure(figures.score_figure(run, n)) for n, run in shown]


def _how(report: Figures) -> Iterator[Part]:
    machine = report.machine
    yield tag("h2", "How it was measured")
    yield table(
        "Rankers",
        ["ranker", "given as", "model", "revision", "backend", "precision"],
        [
            [
                run.name,
                run.run.ranker.spec,
                *(
                    getattr(run.run, each) or ""
                    for each in ("model", "revision", "backend", "precision")
                ),
            ]
            for run in report.runs
        ],
    )
    yield tag(
        "p",
        f"Milliseconds are of one query at a time after a warm-up, on {machine['processor']} "
        f"({', '.join(machine['instructions'])}), {machine['threads']} threads, while whatever "
        "else runs on this machine ran; ways to rank took turns at each query. Measures are those "
        "of trec_eval, through ir_measures, with scores made from ranks; gains are linear. Seed "
        f"{report.seed}. All that is shown is in report.json.",
    )
