"""All that a run finds, as the JSON that the report is made of."""

from __future__ import annotations

from typing import Any

from environments import note
from reasons import in_short


class Results:
    """``content`` is the JSON."""

    def __init__(self, **head: Any) -> None:
        self.content: dict[str, Any] = {
            **head,
            "ceiling": {},
            "cells": [],
            "left_out": [],
            "notes": [],
            "idle_share": None,
            "systems": {},
        }

    def add_system(self, name: str, **facts: Any) -> None:
        """A system that can be tried."""
        measured: dict[str, Any] = {
            "import_seconds": None,
            "cold_start": {},
            "memory": {},
            "agreement": {},
        }
        self.content["systems"][name] = {**facts, **measured}

    def leave_out(self, name: str, reason: str, shape: str | None = None) -> None:
        """A system that can't be measured, at one shape or at all."""
        entry = {"system": name, "shape": shape, "reason": in_short(reason)}
        note(f"left out: {' at '.join(filter(None, (name, shape)))}: {entry['reason']}")
        self.content["left_out"].append(entry)

    def note(self, text: str) -> None:
        """What a reader should know, once."""
        if text not in self.content["notes"]:
            note(text)
            self.content["notes"].append(text)

    def add_ceiling(self, measured: dict[str, Any]) -> None:
        """What ``ceiling.py`` found; the best of all times that it ran."""
        for precision, engines in measured["best"].items():
            best = self.content["ceiling"].setdefault(precision, {})
            for engine, rate in engines.items():
                best[engine] = max(rate, best.get(engine, 0.0))
        for product, reason in measured["failed"].items():
            self.note(f"No matrix product in {product}: {in_short(reason)}")

    def finish(self, idle_share: float | None) -> None:
        """Keep the systems that were started at least once."""
        self.content["idle_share"] = idle_share
        systems = self.content["systems"]
        self.content["systems"] = {name: each for name, each in systems.items() if each["memory"]}
