"""Dockerfiles, read by their instructions."""

from __future__ import annotations

import re
from pathlib import Path

Instruction = tuple[str, str]


def instructions(path: Path) -> list[Instruction]:
    """Each instruction's name, and the rest of it in one line."""
    text = path.read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    whole = re.sub(r"\\\n\s*", "", lines)
    found = [line.partition(" ") for line in whole.splitlines() if line]
    return [(name, rest) for name, _, rest in found]
