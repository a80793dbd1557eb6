"""A defect: what is wrong, how it was seen, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SHARE = 0.01
"""Of a hundred, one may be odd by nature."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Defect:
    """Something about the data or a ranker that makes its figures mean something else."""

    name: str
    """A short name, such as ``"doubled sigmoid"``."""
    where: str
    """What has it: ``"documents"``, ``"first stage"``, ``"judgements"``, or a ranker's name."""
    said: str
    """What was seen."""
    advice: str
    """What to do about it."""
    level: Literal["warning", "note"] = "warning"
    """``"note"`` for what may be so by nature."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """Numbers, and a few ids."""

    def to_dict(self) -> dict[str, Any]:
        """The defect, ready for ``json.dumps``."""
        return asdict(self)


def share(part: int, whole: int) -> str:
    """A share in words: ``"12 of 300 (4 %)"``."""
    percent = 100 * part / max(whole, 1)
    return (
        f"{part} of {whole} ({percent:.0f} %)"
        if percent >= 10
        else f"{part} of {whole} ({percent:.2g} %)"
    )
