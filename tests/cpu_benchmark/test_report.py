"""Reports and pages: short reasons, and what was measured."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType

import pytest
from sources import BENCHMARKS


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("ValueError: no file /a/b/c.txt. Look there", "ValueError: no file c.txt"),
        ("no package at https://host.example/simple/x/", "no package at x/"),
        ("Error: raised at\nmore", "Error: raised at"),
        ("Exception from core.cpp:1:\nIt failed at node.cpp:2:\nno kernel\n", "no kernel"),
        ("3 / 4 of a/b", "3 / 4 of a/b"),
        ("", "no reason was given"),
    ],
)
def test_reasons_are_short_and_name_no_machine(
    module: Callable[[str], ModuleType], text: str, short: str
) -> None:
    assert module("reasons").in_short(text) == short


def test_the_pages_show_what_was_measured(module: Callable[[str], ModuleType]) -> None:
    """After a run: python benchmarks/cpu/side_by_side.py."""
    pages = module("side_by_side")
    results = pages.committed(BENCHMARKS / "results")
    assert {"avx512-vnni"} <= {each["class"] for each in results}
    assert pages.PAGE.read_text(encoding="utf-8") == pages.page(results)
    assert pages.readme_table(results) in pages.README.read_text(encoding="utf-8")
    for path in BENCHMARKS.glob("results/**/cpu.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        assert content["class"] in path.parts
        report = path.with_name("cpu.md").read_text(encoding="utf-8")
        assert report == module("report").report(content)
