"""The results as a page."""

from __future__ import annotations

import shlex
from typing import Any

from cases import CASES
from hostile_arguments import DEFAULT
from sections import table


def report(results: dict[str, Any]) -> str:
    """The whole page, in Markdown."""
    cells = {(cell["case"], cell["system"]): cell for cell in results["cells"]}
    systems = sorted({system for _, system in cells}, key=_place)
    cases = [case for case in CASES if any(name == case for name, _ in cells)]
    parts = [
        f"# Rerankers in hostile conditions: {results['class']}",
        f"{results['processor']}, {results['cpus']} CPUs, {results['system']}. Each case ran in a "
        f"process of its own, which was ended beyond {results['memory']:g} GiB of resident memory, "
        "with the library's own defaults. The machine was shared with other work: times are no "
        "measure here.",
        table(
            ["", *systems],
            [
                [CASES[case].title, *(_word(cells.get((case, system))) for system in systems)]
                for case in cases
            ],
        ),
        "\n".join(f"- {system}: {_packages(results, system)}" for system in systems),
        *(_case(case, systems, cells, results) for case in cases),
    ]
    return "\n\n".join(parts) + "\n"


def _place(system: str) -> tuple[int, str]:
    return (DEFAULT.index(system) if system in DEFAULT else len(DEFAULT), system)


def _word(cell: dict[str, Any] | None) -> str:
    if cell is None:
        return "–"
    word = str(cell["word"])
    return word if word in ("right", "left out") else f"**{word}**"


def _packages(results: dict[str, Any], system: str) -> str:
    packages = results["packages"].get(system, {})
    return ", ".join(f"{name} {version}" for name, version in packages.items()) or "not run"


def _case(
    case: str,
    systems: list[str],
    cells: dict[tuple[str, str], dict[str, Any]],
    results: dict[str, Any],
) -> str:
    how = results["how"].get(case)
    found = [cells[case, system] for system in systems if (case, system) in cells]
    rows = [
        [cell["system"], _word(cell), _escaped(cell["note"]), _peak(cell), f"`{command(cell)}`"]
        for cell in found
    ]
    limited = f" Limited {how}." if how else ""
    return "\n\n".join(
        (
            f"## {CASES[case].title}",
            f"Right: {CASES[case].rule}{limited} The model is {_shapes(found)}.",
            table(["system", "", "what it did", "peak, MB", "again"], rows),
        )
    )


def _shapes(cells: list[dict[str, Any]]) -> str:
    return " or ".join(dict.fromkeys(cell["shape"] for cell in cells))


def _peak(cell: dict[str, Any]) -> str:
    return f"{cell['peak'] / 1e6:.0f}" if cell.get("peak") else "–"


def command(cell: dict[str, Any]) -> str:
    """What repeats it."""
    words = ["python", "benchmarks/hostile.py", "--case", cell["case"]]
    words += ["--here"] if cell["here"] else ["--system", cell["system"]]
    if cell["shape"] != CASES[cell["case"]].shape and not cell["here"]:
        words += ["--shape", cell["shape"]]
    for case, name in (("drift", "calls"), ("memory", "documents")):
        if cell["case"] == case:
            words += [f"--{name}", str(cell["settings"][name])]
    return shlex.join(words)


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
