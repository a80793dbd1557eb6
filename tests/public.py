"""The public modules and names, from the table in docs/stability.md."""

from __future__ import annotations

import re
from pathlib import Path


def _table() -> dict[str, list[str]]:
    page = (Path(__file__).parents[1] / "docs/stability.md").read_text(encoding="utf-8")
    section = page.partition("## What is public\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([\w.]+)` \| (.*) \|$", section, flags=re.MULTILINE)
    return {module: re.findall(r"`(\w+)`", names) for module, names in rows}


PUBLIC = _table()
"""The names of each module."""
