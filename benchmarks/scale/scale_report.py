"""The page: what was measured, what is assumed, and what was simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from statistics import fmean, quantiles
from typing import Any

from running import Outcome
from scenarios_at_scale import EVENT, Assumed, Scenario
from traffic import Traffic


def row(scenario: Scenario, hosts: int, outcome: Outcome, traffic: Traffic) -> dict[str, Any]:
    """The figures of one run; seconds, shares of requests, and dollars."""
    happens = scenario.step or scenario.failure
    before = EVENT if happens else float("inf")
    typical = outcome.percentile(0.5, until=before)
    return {
        "scenario": scenario.name,
        "hosts": hosts,
        "rate": round(traffic.rate, 1),
        "requests": outcome.asked,
        "p50": typical,
        "p99": outcome.percentile(0.99, until=before),
        # The minute after it happened.
        "p99_after": outcome.percentile(0.99, EVENT, EVENT + 60) if happens else None,
        "recovered": _told(outcome.recovered(EVENT, 4 * typical)) if happens else None,
        "waiting": max(waiting for _, waiting in outcome.waiting),
        **{
            fate: outcome.fates[fate] / max(1, outcome.asked)
            for fate in ("late", "refused", "lost")
        },
        "hosts_at_end": sum(outcome.hosts[-1][1].values()),
        "per_million": 1e6 * outcome.cost / max(1, outcome.fates["answered"]),
    }


def page(results: Mapping[str, Any]) -> str:
    """All that there is, as Markdown."""
    parts = ["# At scale\n", _said(results)]
    if "costs" in results:
        parts.append(_costs(results["costs"]))
    if "replicas" in results:
        parts.append(_replicas(results["replicas"]))
    if "rows" in results:
        parts.append(_rows(results["rows"]))
    if "kills" in results:
        parts.append(_kills(results["kills"]))
    if "simulated" in results:
        parts.append(_simulated(results["simulated"], results["assumed"]))
    return "\n".join(parts)


def _said(results: Mapping[str, Any]) -> str:
    return (
        f"Of {results['date']}, on {results['processor']} (class `{results['class']}`), by "
        f"`{results['command']}`. What each part is, and how it is measured: "
        "[benchmarks](../../README.md#scalepy-one-machine-and-many).\n"
    )


def _costs(costs: Mapping[str, Any]) -> str:
    rows = [
        "## What a ranking costs\n",
        f"Seconds of one core for one ranking, {costs['questions']} questions, the least of "
        f"{costs['rounds']} rounds. Two threads are {costs['speed_up']} times as fast as one.\n",
        "| way | mean | tenth | nine tenths |",
        "|---|---|---|---|",
    ]
    for way, seconds in costs["seconds"].items():
        deciles = quantiles(seconds, n=10)
        rows.append(f"| {way} | {fmean(seconds):.2f} | {deciles[0]:.2f} | {deciles[-1]:.2f} |")
    return "\n".join(rows) + "\n"


def _replicas(replicas: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        "## Replicas on this machine\n",
        "| what | documents | callers | requests a second | simulated | p50, ms | simulated "
        "| p95, ms | simulated | memory, MiB |",
        "|---" * 10 + "|",
    ]
    rows += [
        f"| {each['what']} | {each['documents']} | {each['callers']} "
        f"| {each['rate']:.2f} | {each['simulated_rate']:.2f} "
        f"| {1000 * each['p50']:.0f} | {1000 * each['simulated_p50']:.0f} "
        f"| {1000 * each['p95']:.0f} | {1000 * each['simulated_p95']:.0f} "
        f"| {each['memory'] / 2**20:.0f} |"
        for each in replicas
    ]
    return "\n".join(rows) + "\n"


def _rows(found: Mapping[str, Any]) -> str:
    lines = [
        "## Datasets\n",
        f"{found['rows']} rows of {found['documents']} documents. A second, from the first block "
        "on; and all seconds, those that Ray, actors and models take to start among them.\n",
        "| way | rows a second | seconds |",
        "|---|---|---|",
    ]
    lines += [
        f"| {way} | {each['per_second']:.1f} | {each['seconds']:.0f} |"
        for way, each in found["ways"].items()
    ]
    if found["back_after"] is not None:
        lines.append(
            "\nOne of two actors was killed: as many rows a second as before after "
            f"{_seconds(found['back_after'])} s."
        )
    return "\n".join(lines) + "\n"


def _kills(found: Mapping[str, Any]) -> str:
    said = ", ".join(f"{count} × {status}" for status, count in found["statuses"].items())
    return (
        "## A replica is killed\n\nOne of two, under four callers: as many answers a second as "
        f"before after {_seconds(found['back_after'])} s; {said}.\n"
    )


def _simulated(rows: Sequence[Mapping[str, Any]], assumed: Mapping[str, Any]) -> str:
    said = ", ".join(f"{name} {value:g}" for name, value in assumed.items())
    lines = [
        "## Fleets on paper\n",
        f"Assumed, and not measured: {said} (`Assumed` in `scenarios_at_scale.py` says what each "
        "is). Recovered: seconds after what happened until for ten seconds nothing was refused or "
        "took four times the median; where fewer hosts are fuller ever after, that never comes.\n",
        "| scenario | hosts | requests a second | p50, s | p99, s | p99 after, s | recovered, s "
        "| most at once | late | refused | lost | hosts at the end | $ for a million |",
        "|---" * 13 + "|",
    ]
    lines += [
        f"| {each['scenario']} | {each['hosts']} | {each['rate']:.0f} "
        f"| {_seconds(each['p50'])} | {_seconds(each['p99'])} "
        f"| {_seconds(each['p99_after'])} | {_seconds(each['recovered'])} "
        f"| {each['waiting']:.0f} | {each['late']:.1%} | {each['refused']:.1%} "
        f"| {each['lost']:.1%} | {each['hosts_at_end']} | {each['per_million']:.2f} |"
        for each in rows
    ]
    return "\n".join(lines) + "\n"


def _told(value: float) -> float | str:
    """JSON has no infinity."""
    return "never" if value == float("inf") else value


def _seconds(value: float | str | None) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def assumptions(assumed: Assumed) -> dict[str, float]:
    """By name."""
    return asdict(assumed)
