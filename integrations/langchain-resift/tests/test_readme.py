"""The README's snippets run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any


def test_snippets_run() -> None:
    readme = Path(__file__).parent.parent / "README.md"
    snippets = re.findall(r"^```python\n(.*?)^```", readme.read_text(encoding="utf-8"), re.M | re.S)
    assert len(snippets) == 6
    namespace: dict[str, Any] = {"__name__": "readme"}
    for snippet in snippets:
        exec(compile(snippet, str(readme), "exec"), namespace)
