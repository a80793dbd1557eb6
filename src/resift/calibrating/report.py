"""The report of a calibration: what it was fitted on, how well it holds, where to cut."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from resift.calibrations import Curve, CurveKind
from resift.evaluation.calibration_fit import Trial
from resift.evaluation.intervals import Difference
from resift.evaluation.reliability import Quality
from resift.evaluation.thresholds import Threshold

_KINDS = {"temperature": "temperature", "platt": "Platt scaling", "isotonic": "isotonic steps"}


@dataclass(frozen=True, kw_only=True, slots=True)
class CalibrationReport:
    """Test of a calibration, on queries that it wasn't fitted on.

    Queries are dealt into five folds. Each fold's chances are by a curve that was fitted on the
    others, so no query is in both.
    """

    queries: int
    pairs: int
    share_in_fit: float
    """The share of the pairs that is relevant."""
    share_in_use: float
    """The share in use; the same, where nothing else was said."""
    labels: str
    """What the labels are: judgements, or clicks and what was assumed of them."""
    kind: CurveKind
    trials: tuple[Trial, ...]
    """The kinds that were tried; empty where the kind was given."""
    before: Quality
    """The sigmoid of the logits."""
    after: Quality
    """The calibration, without a shift, on pairs as they were given."""
    over_sigmoid: Difference
    """The log loss of ``after`` less that of ``before``."""
    in_use_unshifted: Quality | None
    """The calibration without the shift, on pairs weighed as in use; ``None`` without a shift."""
    in_use: Quality | None
    """The calibration with it."""
    thresholds: tuple[Threshold, ...]
    notes: tuple[str, ...]
    """What was left out or assumed."""

    @property
    def advice(self) -> str:
        """One sentence: whether to use it."""
        if self.over_sigmoid.high < 0:
            return "Use it: its chances are better than the sigmoid's."
        if self.over_sigmoid.low > 0:
            return "Don't use it: the sigmoid alone has better chances."
        return "It may be no better than the sigmoid: these queries show no gain for certain."

    def to_dict(self) -> dict[str, Any]:
        """The report, ready for ``json.dumps``."""
        return {**asdict(self), "advice": self.advice}

    def to_text(self) -> str:
        """The report as lines for a terminal."""
        lines = [
            f"{self.pairs} pairs of {self.queries} queries, {self.share_in_fit:.1%} relevant "
            f"({self.labels})",
            f"{_KINDS[self.kind]}, tried on queries that it wasn't fitted on:",
            f"  {'':<28}{'log loss':<28}{'Brier':<28}ECE",
            _row("sigmoid", self.before),
            _row("calibrated", self.after),
            f"  log loss over the sigmoid's: {self.over_sigmoid}",
        ]
        lines += [
            f"  tried {each.kind}: log loss {each.log_loss:.4f}, over the best {each.over_best}"
            for each in self.trials
        ]
        if self.in_use is not None and self.in_use_unshifted is not None:
            lines += [
                f"in use {self.share_in_use:.2%} are relevant, and the chances are moved for it:",
                _row("without the shift", self.in_use_unshifted),
                _row("with it", self.in_use),
            ]
        lines += [str(each) for each in self.thresholds]
        lines += [*self.notes, self.advice]
        return "".join(f"{line}\n" for line in lines)


def _row(name: str, found: Quality) -> str:
    cells = [f"{each!s:<28}" for each in (found.log_loss, found.brier, found.ece)]
    return f"  {name:<28}{''.join(cells)}".rstrip()


def shown_curve(curve: Curve) -> str:
    """The formula of a curve, with its numbers."""
    shift = f" {curve.shift:+.4g}" if curve.shift else ""
    if curve.kind == "isotonic":
        return f"{len(curve.steps)} steps{f', odds times exp({curve.shift:.4g})' if shift else ''}"
    if curve.kind == "temperature":
        return f"sigmoid(logit / {1 / curve.slope:.4g}{shift})"
    return f"sigmoid({curve.slope:.4g} · logit {curve.intercept:+.4g}{shift})"
