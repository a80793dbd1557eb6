"""``catalogue.json``: well-known rerankers, and facts about them.

The facts were collected without access to the hub: check a licence at its source. ``run_here`` is
true only of a model that was downloaded and ranked with; a ``revision`` is given only where it was
the one used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """One model. Unknown facts are ``None``."""

    name: str
    """The value for ``model=``; the name of a repository on the hub works too."""
    source: Literal["hub", "flashrank"]
    repository: str
    revision: str | None
    formats: tuple[str, ...]
    """The formats that its weights exist in."""
    family: str
    """A family's name; may be one that isn't supported yet."""
    remote_code: tuple[str, ...]
    """The formats that only code from the repository can run."""
    size: str | None
    window: int | None
    max_length: int | None
    activation: str
    """The function that the model's author applies to logits."""
    languages: tuple[str, ...]
    license: str
    run_here: bool
    file: str | None = None
    """The name of the graph in a FlashRank archive."""


@cache
def listings() -> dict[str, Listing]:
    """All models of the catalogue, by name."""
    entries = json.loads(Path(__file__).with_name("catalogue.json").read_text(encoding="utf-8"))
    return {entry["name"]: _parse(entry) for entry in entries}


def find_listing(model: str) -> Listing | None:
    """Find a model by its name or its repository's; ``None`` where the catalogue lacks it."""
    by_repository = {each.repository: each for each in listings().values() if each.source == "hub"}
    return listings().get(model) or by_repository.get(model)


def _parse(entry: Mapping[str, Any]) -> Listing:
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()
    }
    return Listing(**fields)
