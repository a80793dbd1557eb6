"""Examples of the README and the docstring run as they stand."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from haystack_integrations.components.rankers.resift import ResiftRanker

README = Path(__file__).parents[1] / "README.md"


@pytest.mark.parametrize("source", ["README.md", "docstring"])
def test_examples_run(source: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = (
        README.read_text(encoding="utf-8")
        if source == "README.md"
        else str(inspect.getdoc(ResiftRanker))
    )
    snippets = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert snippets
    # One program, as tests/test_docs.py runs it.
    namespace: dict[str, Any] = {}
    for snippet in snippets:
        exec(compile(snippet, source, "exec"), namespace)
    assert "Use sorted with a key function" in capsys.readouterr().out.splitlines()[0]
