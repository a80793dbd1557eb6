"""What a report begins with: where, with what, what was left out and why."""

from __future__ import annotations

from typing import Any


def head(results: dict[str, Any]) -> str:
    """All above the tables."""
    threads = f"{results['threads']} threads for each"
    parts = [
        f"# Rerankers on one CPU: {results['class']}",
        f"{results['processor']}, {results['system']}; {threads}; {results['date']}. "
        f"Made by `{results['command']}`.",
        simulated(results),
        _seen(results["seen"]),
        _ceiling(results["ceiling"]),
    ]
    if results["idle_share"] is not None:
        parts.append(
            f"Idle systems used at most {results['idle_share']:.1%} of a processor while another "
            "was measured."
        )
    if results["left_out"]:
        parts += ["Left out:", "\n".join(f"- {each}" for each in _left_out(results))]
    if results["notes"]:
        parts += ["Noticed:", "\n".join(f"- {each}" for each in results["notes"])]
    return "\n\n".join(part for part in parts if part)


def simulated(results: dict[str, Any]) -> str:
    """How, where the processor is of another class; else nothing."""
    how = results["simulated"]
    if not how["variables"] and not how["patch"]:
        return ""
    variables = f"ran with `{' '.join(how['variables'])}`" if how["variables"] else ""
    patch = f"ran on libraries that `{how['patch']}` changed" if how["patch"] else ""
    return (
        f"**Simulated**: this processor is of another class. So that kernels were chosen as on a "
        f"processor of the class `{results['class']}`, all systems and the matrix products alike "
        f"{' and '.join(filter(None, (variables, patch)))}. They ran at this processor's speed."
    )


def _seen(seen: dict[str, str]) -> str:
    found = "; ".join(f"{name}: {what}" if name else what for name, what in seen.items())
    return f"What it was taken for: {found}." if found else ""


def _ceiling(ceiling: dict[str, dict[str, float]]) -> str:
    if not ceiling:
        return ""
    rates = "; ".join(
        f"{precision} {engines[best]:.0f} ({best})"
        for precision, engines in ceiling.items()
        for best in [max(engines, key=lambda name: engines[name])]
    )
    return f"Fastest matrix products measured here, GFLOP/s: {rates}."


def _left_out(results: dict[str, Any]) -> list[str]:
    """Lines: each reason of a system once, with the shapes that it holds for."""
    shapes: dict[tuple[str, str], list[str]] = {}
    for each in results["left_out"]:
        known = shapes.setdefault((each["system"], each["reason"]), [])
        known += [each["shape"]] if each["shape"] else []
    return [
        f"{system} ({', '.join(at)}): {reason}" if at else f"{system}: {reason}"
        for (system, reason), at in shapes.items()
    ]
