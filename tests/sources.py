"""Our code, by folder and module."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parent.parent
ENGINE = ROOT / "src/resift"
BENCHMARKS = ROOT / "benchmarks"
INTEGRATIONS = sorted((ROOT / "integrations").iterdir())
MODULES = sorted(path.relative_to(ENGINE) for path in ENGINE.rglob("*.py"))
