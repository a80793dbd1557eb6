"""A finding about a server: one question, its answer, the evidence, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Verdict = Literal["same", "differs", "note", "unknown"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One question about a server, and its answer.

    ``verdict``: ``"same"`` there and here; ``"differs"``; ``"note"`` for what is worth knowing and
    no fault; ``"unknown"`` where it couldn't be compared.
    """

    topic: str
    """One word or two, such as ``"model"``, ``"scale"`` or ``"length"``."""
    verdict: Verdict
    said: str
    """The answer, in words."""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    """Numbers and names that it rests on."""
    advice: str = ""
    """What to do about it; ``""`` where there is nothing to do."""

    def to_dict(self) -> dict[str, Any]:
        """The finding, ready for ``json.dumps``."""
        return {
            "topic": self.topic,
            "verdict": self.verdict,
            "said": self.said,
            "evidence": dict(self.evidence),
            "advice": self.advice,
        }
