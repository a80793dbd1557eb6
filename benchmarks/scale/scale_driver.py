"""The parts, by turns; what was measured before stays unless it is asked for again."""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import arguments
import costs
import kills
import processor
import replicas
import rows
from environments import ROOT, note
from scale_report import assumptions, page, row
from scenarios_at_scale import SCENARIOS, SECONDS, Assumed, simulate

from resift.machine import processor as abilities


def main() -> int:
    """Measure, simulate and write."""
    options = _parse(sys.argv[1:])
    out: Path = options.out or ROOT / "benchmarks/results" / options.processor_class
    data = out / "scale.json"
    results: dict[str, Any] = json.loads(data.read_text(encoding="utf-8")) if data.exists() else {}
    results |= {
        "class": options.processor_class,
        "processor": processor.name(),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "command": arguments.command(sys.argv[1:], "scale.py"),
    }
    out.mkdir(parents=True, exist_ok=True)
    for part in options.parts:
        results |= PARTS[part](options, results)
        data.write_text(json.dumps(results) + "\n", encoding="utf-8")
    (out / "scale.md").write_text(page(results), encoding="utf-8")
    note(f"written: {out / 'scale.md'}")
    return 0


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks/scale.py", description="At scale.")
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=list(PARTS), help="default: all")
    add("--quick", action="store_true", help="fewer of everything")
    add("--out", type=Path, help="default: benchmarks/results/CLASS")
    add("--class", dest="processor_class", default=_class(), help="default: this machine's")
    return parser.parse_args(words)


def _class() -> str:
    wide = any("VNNI" in each or each == "AVX512_ICL" for each in abilities().features)
    return "avx512-vnni" if wide else "avx2"


def _costs(options: argparse.Namespace, _: dict[str, Any]) -> dict[str, Any]:
    measured = costs.measure(3, 1) if options.quick else costs.measure(20, 3)
    return {"costs": measured}


def _replicas(options: argparse.Namespace, results: dict[str, Any]) -> dict[str, Any]:
    return {"replicas": replicas.measure(results["costs"], quick=options.quick)}


def _rows(options: argparse.Namespace, _: dict[str, Any]) -> dict[str, Any]:
    return {"rows": rows.measure(quick=options.quick)}


def _kills(_options: argparse.Namespace, _: dict[str, Any]) -> dict[str, Any]:
    return {"kills": kills.measure()}


def _fleets(options: argparse.Namespace, results: dict[str, Any]) -> dict[str, Any]:
    assumed, found = Assumed(), []
    measured = results["costs"]["seconds"]
    for scenario in SCENARIOS:
        for hosts in scenario.sizes[:1] if options.quick else scenario.sizes:
            outcome, traffic = simulate(scenario, hosts, measured, assumed, SECONDS)
            found.append(row(scenario, hosts, outcome, traffic))
            note(f"{scenario.name}, {hosts} hosts: {outcome.asked} requests")
    return {"simulated": found, "assumed": assumptions(assumed)}


PARTS: dict[str, Callable[[argparse.Namespace, dict[str, Any]], dict[str, Any]]] = {
    "costs": _costs,
    "replicas": _replicas,
    "rows": _rows,
    "kills": _kills,
    "fleets": _fleets,
}
