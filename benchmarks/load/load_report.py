"""The results as a page."""

from __future__ import annotations

import math
from typing import Any

from lag import percentile
from sections import errors, failed, median, ms, section

Run = dict[str, Any]
_PERCENTILES = (0.5, 0.95, 0.99)


def report(results: dict[str, Any]) -> str:
    """The whole page, in Markdown."""
    sides = " and ".join(f"{name} is {revision}" for name, revision in results["sides"].items())
    rates = ", ".join(f"{name} {rate:.1f}" for name, rate in results["rates"].items())
    parts = [
        f"# Under load: {results['class']}",
        f"{results['processor']}, {results['system']}; {results['model']}, {results['threads']} "
        f"threads; {results['date']}; {results['rounds']} rounds, sides by turns. The machine was "
        f"shared with other work. Made by `{results['command']}`: {sides}.",
        *(part(results) for part in (_closed, _giant, _deadlines, _drift)),
        _open(results, rates),
        _failed(results),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _open(results: dict[str, Any], rates: str) -> str:
    groups = _grouped(results, "open", ("mix", "by", "share"))
    if not groups:
        return ""
    rows = []
    for (mix, by, share), sides in groups.items():
        for side, runs in sides.items():
            kinds: dict[str, list[float]] = {}
            for run in runs:
                for kind, latencies in run["latencies"].items():
                    kinds.setdefault(kind, []).extend(latencies)
            rates_ = [median(run["offered"] for run in runs)]
            rates_.append(median(run["throughput"] for run in runs))
            rows += [
                [mix, by, f"{share:g}", side, kind, *(f"{rate:.1f}" for rate in rates_)]
                + [ms(percentile(latencies, each)) for each in _PERCENTILES]
                + [str(len(latencies)), errors(runs)]
                for kind, latencies in sorted(kinds.items())
            ]
    head = ["mix", "by", "share", "side", "requests", "offered /s", "done /s"]
    head += ["p50, ms", "p95", "p99", "answers", "errors"]
    text = (
        "Arrivals are a Poisson process, and a latency is counted from the arrival. Rates are "
        f"shares of what one `rank_many` does (requests a second: {rates}). Even: 20 documents of "
        "40 to 200 words; uneven: 5 short ones, and each tenth request 100 of 40 to 200 words. "
        "Percentiles are of all rounds together; those of few answers say little."
    )
    return section("Open loop", text, head, rows)


def _closed(results: dict[str, Any]) -> str:
    rows = []
    groups = _grouped(results, "closed", ("kind", "documents", "callers"))
    for (kind, count, callers), sides in groups.items():
        for by in ("threads", "tasks"):
            for side, runs in sides.items():
                row = [f"{count} {kind}", f"{callers} {by}", side]
                rows.append([*row, *_closed_figures(runs, by)])
    head = ["requests", "callers", "side", "done /s", "`rank_many` /s", "share", "p95 / fair"]
    head += ["difference", "errors", "lag p50, ms", "p99", "most"]
    text = (
        "Each caller has one request after the other, beside one `rank_many` of the same work. A "
        "fair latency is that of a caller who gets as much as every other; the difference is the "
        "largest of a logit from the one of a call by itself. The lag is the event loop's. Wanted: "
        "a share of .9, p95 within 2 fair latencies, no errors, a lag of 5 ms at p99."
    )
    return section("Closed loop", text, head, rows)


def _closed_figures(runs: list[Run], by: str) -> list[str]:
    found = [run[by] for run in runs]
    ratios = [percentile(each["latencies"], 0.95) / each["fair"] for each in found]
    lags = [each["lags"] for each in found if each["lags"]]
    return [
        f"{median(each['rate'] for each in found):.1f}",
        f"{median(run['rate_many'] for run in runs):.1f}",
        f"{median(each['share'] for each in found):.2f}",
        f"{median(ratios):.2f}",
        f"{max(each['difference'] for each in found):.1e}",
        errors(found),
        *(ms(median(each[at] for each in lags)) if lags else "–" for at in (0, 1, 2)),
    ]


def _giant(results: dict[str, Any]) -> str:
    rows = []
    for (giant,), sides in _grouped(results, "giant", ("giant",)).items():
        for side, runs in sides.items():
            waits = [wait for run in runs for wait in run["waits"]]
            passed = [each for run in runs for each in run["passed"]]
            beside = _all(runs, "beside")
            times = [median(run["batch"] for run in runs), median(_all(runs, "alone"))]
            times += [median(beside), max(beside, default=math.nan)]
            row = [str(giant), side, *map(ms, times), f"{median(waits):.1f}"]
            row += [f"{max(waits, default=math.nan):.1f}", f"{median(passed):g}"]
            rows.append([*row, str(len(waits))])
    head = ["giant", "side", "its batch, ms", "5 short alone", "beside", "most", "waits, batches"]
    head += ["most", "batches that end meanwhile", "answers"]
    text = (
        "Requests of 5 short documents while one with many documents of 40 to 200 words is ranked. "
        "The wait is what they take longer than alone, in times of the giant's batches. Wanted: at "
        "most 2."
    )
    return section("Beside a giant", text, head, rows)


def _deadlines(results: dict[str, Any]) -> str:
    rows = []
    for (limit, callers), sides in _grouped(
        results, "deadline", ("deadline_ms", "callers")
    ).items():
        for side, runs in sides.items():
            late = _all(runs, "overshoots")
            statuses = sorted({status for run in runs for status in run["statuses"]})
            rows.append(
                [f"{limit} ms", str(callers), side]
                + [ms(percentile(late, each)) for each in (0.5, 0.99)]
                + [f"{max(limit * 0.05, 2):g}", f"{median(_all(runs, 'scored')):.2f}"]
                + [", ".join(statuses), str(len(late)), errors(runs)]
            )
    head = ["deadline", "callers", "side", "over it p50, ms", "p99", "wanted", "scored"]
    head += ["status", "answers", "errors"]
    text = (
        "Requests of 200 documents of 40 to 200 words. Wanted at p99: at most 5 % or 2 ms too "
        "late. Where nobody heeds the deadline, few calls are made."
    )
    return section("Deadlines", text, head, rows)


def _drift(results: dict[str, Any]) -> str:
    rows = []
    for (calls,), sides in _grouped(results, "drift", ("calls",)).items():
        for side, runs in sides.items():
            growth = runs[0]["growth"]
            rows.append([f"{calls:,}", side, f"{growth:+.1%}" if growth is not None else "–"])
            rows[-1].append(errors(runs))
    text = (
        "Resident memory after all calls, over that after a fifth of them; 8 callers, 1 to 3 short "
        "documents. Wanted: at most 2 %."
    )
    return section("Drift", text, ["calls", "side", "growth", "errors"], rows)


def _failed(results: dict[str, Any]) -> str:
    return failed(
        (f"{each['side']}, {each['settings']['scenario']}", each["why"])
        for each in results["failed"]
    )


def _grouped(
    results: dict[str, Any], scenario: str, keys: tuple[str, ...]
) -> dict[tuple[Any, ...], dict[str, list[Run]]]:
    """Figures of all rounds: by settings, then by side."""
    groups: dict[tuple[Any, ...], dict[str, list[Run]]] = {}
    for run in results["runs"]:
        if run["settings"]["scenario"] == scenario:
            key = tuple(run["settings"][name] for name in keys)
            groups.setdefault(key, {}).setdefault(run["side"], []).append(run["figures"])
    return groups


def _all(runs: list[Run], name: str) -> list[float]:
    return [value for run in runs for value in run[name]]
