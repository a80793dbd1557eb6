"""Files of recordings, read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

SALT = "a salt for the tests"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())
