"""The results as a page.

    python serve_report.py RESULTS.json FILE.md

Needs benchmarks/cpu on its path.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bound import TIMES, bound_of, fastest, within
from lag import percentile
from sections import errors, failed, median, ms, section

Run = dict[str, Any]
_PERCENTILES = (0.5, 0.95)
OURS = "resift"


def report(results: dict[str, Any]) -> str:
    """The whole page, in Markdown."""
    priority = "at a higher priority than other work" if results["priority"] else "as others"
    commands = " and ".join(f"`{each}`" for each in dict.fromkeys(results["commands"].values()))
    parts = [
        f"# Servers: {results['class']}",
        f"{results['processor']}, {results['system']}; {results['threads']} threads for each, "
        f"client and server on the same processors, {priority}, on a machine that was shared with "
        f"it; {results['date']}. Made by {commands}. text-embeddings-inference isn't here: it is a "
        "container or built from source, and neither could be had on this machine.",
        *(part(results) for part in (_equal, _closed, _open, _overhead, _trouble)),
        failed(results["failed"].items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def curves(results: dict[str, Any], workload: str) -> dict[str, list[tuple[float, list[float]]]]:
    """For each server, throughput and latencies of all rounds at each share, growing."""
    found: dict[str, dict[float, list[Run]]] = {}
    for run in _runs(results, workload, "open"):
        at = found.setdefault(run["server"], {})
        at.setdefault(run["figures"]["share"], []).append(run["figures"])
    return {
        server: [
            (median(each["throughput"] for each in runs), _all(runs))
            for _, runs in sorted(shares.items())
        ]
        for server, shares in found.items()
    }


def equal_p95(results: dict[str, Any], workload: str) -> tuple[float, dict[str, float]]:
    """The bound in seconds, and each server's throughput within it."""
    alone: dict[str, list[float]] = {}
    for run in _runs(results, workload, "alone"):
        alone.setdefault(run["server"], []).extend(run["figures"]["latencies"])
    open_ = curves(results, workload)
    bound = bound_of({server: alone[server] for server in open_ if server in alone})
    return bound, {
        server: within(
            [(done, percentile(each, 0.95)) for done, each in curve],
            bound,
            percentile(alone[server], 0.95),
        )
        for server, curve in open_.items()
    }


def workloads(results: dict[str, Any]) -> list[str]:
    """Those that servers were measured with."""
    return list(dict.fromkeys(run["workload"] for run in results["runs"]))


def _equal(results: dict[str, Any]) -> str:
    rows = []
    for workload in workloads(results):
        bound, found = equal_p95(results, workload)
        for server, done in found.items():
            ratios = [_ratio(server, found, peer) for peer in ("infinity", "fastapi")]
            rows.append([workload, f"{bound * 1000:.0f}", server, f"{done:.2f}", *ratios])
    head = ["documents", "p95 within, ms", "server", "requests /s", "by infinity's", "by FastAPI's"]
    tau = ", ".join(f"{name} {value:.2f}" for name, value in results["agreement"].items())
    text = (
        f"The highest rate of Poisson arrivals at which p95 is within {TIMES:g} times that of the "
        "slowest server's answers to one caller; the same bound for all. Between two rates it is "
        "interpolated, below the lowest with p95 of one caller for a rate of 0, and where the "
        "highest rate that was tried is within the bound, that counts. Wanted: 2 by each. "
        f"All have the same weights (Kendall's tau with resift's order in fp32: {tau})."
    )
    return section("Throughput at equal p95", text, head, rows)


def _ratio(server: str, found: dict[str, float], peer: str) -> str:
    """A server's figure by that of a peer, or of the one of its kind that was tried."""
    other = [done for name, done in found.items() if name.startswith(peer) and done]
    return f"{found[server] / other[0]:.1f}" if server.startswith(OURS) and other else ""


def _closed(results: dict[str, Any]) -> str:
    rows = []
    for workload in workloads(results):
        for server in dict.fromkeys(run["server"] for run in results["runs"]):
            alone = [run["figures"] for run in _runs(results, workload, "alone", server)]
            many = [run["figures"] for run in _runs(results, workload, "saturated", server)]
            if alone:
                row = [workload, server, *(ms(percentile(_all(alone), p)) for p in _PERCENTILES)]
                row += [f"{median(each['rate'] for each in many):.2f}"]
                row += [ms(percentile(_all(many), 0.95)), errors(alone + many)]
                rates = _saturated(results, workload)
                row += [_ratio(server, rates, peer) for peer in ("infinity", "fastapi")]
                rows.append(row)
    head = ["documents", "server", "one caller p50, ms", "p95"]
    head += [f"{results['callers']} callers, requests /s", "p95, ms", "errors"]
    head += ["rate by infinity's", "by FastAPI's"]
    text = "Each caller has one request after the other. Rates are medians over rounds."
    return section("Closed loop", text, head, rows)


def _saturated(results: dict[str, Any], workload: str) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for run in _runs(results, workload, "saturated"):
        found.setdefault(run["server"], []).append(run["figures"]["rate"])
    rates = {server: median(each) for server, each in found.items()}
    return {server: rates[server] for server in rates if server in fastest(rates)}


def _open(results: dict[str, Any]) -> str:
    rows = []
    for workload in workloads(results):
        for server, curve in curves(results, workload).items():
            runs = [run["figures"] for run in _runs(results, workload, "open", server)]
            for number, (done, latencies) in enumerate(curve):
                row = [workload, server, f"{done:.2f}", str(len(latencies))]
                row += [ms(percentile(latencies, share)) for share in _PERCENTILES]
                rows.append([*row, errors(runs) if number == len(curve) - 1 else ""])
    head = ["documents", "server", "done /s", "answers", "p50, ms", "p95", "errors, all rates"]
    text = (
        "Arrivals are a Poisson process, and a latency is counted from the arrival. Rates are "
        "shares of what the server does with several callers. ![latencies](serve.svg)"
    )
    return section("Open loop", text, head, rows)


def _overhead(results: dict[str, Any]) -> str:
    rows = []
    for found in results["overhead"]:
        inside, outside = zip(*found["one"], strict=True)
        many = found["many"]
        row = [found["workload"], ms(median(inside)), ms(median(outside))]
        row += [ms(median(b - a for a, b in found["one"]))]
        row += [f"{median(each[by] for each in many):.1f}" for by in ("threads", "tasks", "http")]
        row += [f"{median(x['http'] / x[by] for x in many):.2f}" for by in ("threads", "tasks")]
        used = [each["processor"] for each in many]
        row += [ms(median(x.get(by, math.nan) for x in used)) for by in ("threads", "http")]
        rows.append([*row, ms(median(each["client"] for each in many))])
    head = ["documents", "one caller, in process p50, ms", "over HTTP", "more", "threads, /s"]
    head += ["tasks, /s", "HTTP, /s", "HTTP / threads", "HTTP / tasks"]
    head += ["processor ms by threads", "HTTP's", "client's"]
    text = (
        "The same requests to `Reranker` in a process and to the server around it, block by block, "
        f"int8; with one caller, and with {results['callers']} by threads, by tasks, and over "
        "HTTP. Processor time is of one request, and the client's is beside the server's. Wanted: "
        "at most 2 ms more, and .95 of the rate."
    )
    return section("What HTTP costs", text, head, rows)


def _trouble(results: dict[str, Any]) -> str:
    found = results["trouble"]
    if not found:
        return ""
    rows = []
    if "slow" in found:
        slow = found["slow"]
        p95 = " → ".join(map(ms, slow["p95"]))
        text = f"p95 of requests beside them {p95} ms; {slow['cut']} were cut off"
        rows.append([f"{slow['connections']} slow heads", text, _word(slow)])
    for each in found.get("too much", []):
        text = f"{each['status']} in {each['seconds']:.2f} s, {each['megabytes']:+.1f} MiB"
        rows.append([each["case"], text, _word(each)])
    if "soak" in found:
        soak = found["soak"]
        text = f"memory {soak['growth']:+.1%}, {len(soak['errors'])} errors"
        rows.append([f"{soak['calls']:,} requests", text, _word(soak)])
    if "term" in found:
        term = found["term"]
        statuses = ", ".join(f"{count} × {status}" for status, count in term["answers"].items())
        text = f"{term.get('in_work')} in work; {statuses}; {term['reset']} without an answer; "
        text += f"status {term['status']} after {term['seconds']:.1f} s"
        rows.append([f"SIGTERM with {term['in_flight']} in flight", text, _word(term)])
    return section("Trouble", "resift-int8, with its defaults.", ["what", "found", ""], rows)


def _runs(results: dict[str, Any], workload: str, what: str, server: str = "") -> list[Run]:
    return [
        run
        for run in results["runs"]
        if run["workload"] == workload and run["what"] == what and server in ("", run["server"])
    ]


def _all(runs: Iterable[Run]) -> list[float]:
    return [latency for run in runs for latency in run["latencies"]]


def _word(found: dict[str, Any]) -> str:
    return "right" if found["right"] else "wrong"


if __name__ == "__main__":
    content = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(report(content), encoding="utf-8")
