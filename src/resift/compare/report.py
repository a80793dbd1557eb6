"""The report of a comparison: its findings, its verdict, and both as a table or as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Literal

from resift.compare.findings import Finding


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """Findings about a server, compared with a model here."""

    server: str
    """Host and port."""
    protocol: str
    model: str
    """The model here."""
    remote_model: str | None
    """The model's name there, as far as the server says it."""
    requests: int
    """How many requests were sent."""
    findings: tuple[Finding, ...]

    @property
    def status(self) -> Literal["same", "differs", "unknown"]:
        """``"unknown"`` where nothing could be compared, else whether any finding differs."""
        if any(each.topic == "answer" and each.verdict == "unknown" for each in self.findings):
            return "unknown"
        differs = any(each.verdict == "differs" for each in self.findings)
        return "differs" if differs else "same"

    def finding(self, topic: str) -> Finding | None:
        """The finding on a topic; ``None`` where there is none."""
        return next((each for each in self.findings if each.topic == topic), None)

    def to_dict(self) -> dict[str, Any]:
        """The report, ready for ``json.dumps``."""
        return {
            "server": self.server,
            "protocol": self.protocol,
            "model": self.model,
            "remote_model": self.remote_model,
            "requests": self.requests,
            "status": self.status,
            "findings": [each.to_dict() for each in self.findings],
        }

    def to_text(self) -> str:
        """The report as a table, with the evidence and the advice of what isn't the same."""
        width = max(len(each.topic) for each in self.findings)
        lines = []
        for each in self.findings:
            indent = " " * (width + 11)
            lines += _wrapped(f"{each.topic:<{width}}  {each.verdict:<7}  ", each.said)
            if each.verdict in ("same", "unknown") and not each.advice:
                continue
            if each.evidence:
                lines += _wrapped(indent, f"evidence: {_shown(each.evidence)}")
            if each.advice:
                lines += _wrapped(indent, f"do: {each.advice}")
        there = f"{self.remote_model} on " if self.remote_model else ""
        lines.append(
            f"{there}{self.server} ({self.protocol}) and {self.model} here: {self.status}; "
            f"{self.requests} {'request' if self.requests == 1 else 'requests'}"
        )
        return "".join(f"{_printable(line)}\n" for line in lines)


def _wrapped(start: str, text: str) -> list[str]:
    later = " " * len(start)
    return wrap(" ".join(text.split()), 100, initial_indent=start, subsequent_indent=later)


def _shown(evidence: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {_value(value)}" for name, value in evidence.items())


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"({_shown(value)})"
    if isinstance(value, list):
        return "; ".join(map(_value, value))
    names = {True: "yes", False: "no", None: "unknown"}
    if value is None or isinstance(value, bool):
        return names[value]
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _printable(text: str) -> str:
    """A line without control characters: a server's message may have some."""
    return "".join(each if each.isprintable() else " " for each in text)
