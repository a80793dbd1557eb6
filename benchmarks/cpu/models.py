"""The driver's end of ``prepare.py``: makes the models, and says for which systems it can't."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from environments import Environments, note
from reasons import UnavailableError, in_short
from systems import STEPS

# A quarter of the largest step's time that was ever seen would do.
_STEP_SECONDS = 3600.0


class Models:
    """The models' folders, for one class of processors.

    With ``keep``, what resift exports is kept for the next run too.
    """

    def __init__(
        self, environments: Environments, processor_class: str, *, keep: bool = False
    ) -> None:
        self._environments, self._class, self._keep = environments, processor_class, keep
        self._done: dict[tuple[str, str], str] = {}

    def folder(self, shape: str) -> Path:
        """Where a shape's models are."""
        return self._environments.folder / "models" / shape

    def failures(self, shape: str, steps: Iterable[str]) -> dict[str, str]:
        """Do these steps, and those before them; what can't be done, with reasons."""
        reasons = {step: self._make(shape, step) for step in dict.fromkeys(steps)}
        return {step: reason for step, reason in reasons.items() if reason}

    def _make(self, shape: str, step: str) -> str:
        """Do a step that isn't done; returns why it can't be, or nothing."""
        if (shape, step) not in self._done:
            before = STEPS[step].after
            reason = self._make(shape, before) if before else ""
            self._done[shape, step] = reason or self._run(shape, step)
        return self._done[shape, step]

    def _run(self, shape: str, step: str) -> str:
        folder = self.folder(shape)
        stamp = folder / f"{step}.json"
        if (STEPS[step].kept or self._keep) and stamp.exists() and self._is_for_this_class(stamp):
            return ""
        note(f"making the model {shape}: {step} …")
        stamp.unlink(missing_ok=True)
        try:
            self._environments.run(
                STEPS[step].environment,
                "prepare.py",
                *(step, str(folder), shape, self._class),
                seconds=_STEP_SECONDS,
            )
        except UnavailableError as error:
            reason = str(error)
            # An environment's failure says so itself.
            failed = "" if reason.startswith("its environment") else f"its model ({step}): "
            return failed + in_short(reason)
        return ""

    def _is_for_this_class(self, stamp: Path) -> bool:
        content = json.loads(stamp.read_text(encoding="utf-8"))
        return bool(content.get("class") == self._class)
