"""Calibrations that belong to one model, and their files."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from numbers import Real
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from resift.errors import InvalidRequestError
from resift.folders import cache_folder
from resift.logistic import Floats, sigmoid

FORMAT = 1
"""The form of file that this version writes, and the newest that it reads."""

CurveKind = Literal["temperature", "platt", "isotonic"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PRIOR = ("place_weight", "score_weight", "score_centre")


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """A function that turns logits into chances of relevance, and never falls.

    ``sigmoid(slope * logit + intercept + shift)``; of the kind ``"isotonic"``, the odds of the step
    that the logit is on, times ``exp(shift)``.
    """

    kind: CurveKind
    slope: float = 1.0
    """Above 0; of a temperature, one over it."""
    intercept: float = 0.0
    """0 for a temperature."""
    steps: tuple[tuple[float, float], ...] = ()
    """For ``"isotonic"``: the logit from which on a step holds, and its chance, between 0 and 1;
    both rise. The first step holds below its logit, too.
    """
    shift: float = 0.0
    """Log-odds for another share of relevant documents in use than in the fit."""

    def __post_init__(self) -> None:
        _check(
            self.kind in get_args(CurveKind),
            "kind",
            f"one of {list(get_args(CurveKind))}",
            self.kind,
        )
        for name in ("slope", "intercept", "shift"):
            given = getattr(self, name)
            _check(_is_finite(given), name, "a finite number", given)
            object.__setattr__(self, name, float(given))
        _check(self.slope > 0, "slope", "above 0, so that scores rise with logits", self.slope)
        if self.kind == "temperature":
            _check(self.intercept == 0, "intercept", "0 for a temperature", self.intercept)
        object.__setattr__(self, "steps", _checked_steps(self.kind, self.steps))

    def __call__(self, logits: Floats) -> Floats:
        """Turn logits (``float64``, of any shape) into chances from 0 to 1."""
        if self.kind != "isotonic":
            return sigmoid(self.slope * logits + self.intercept + self.shift)
        starts, chances = np.array(self.steps).T
        found = chances[np.searchsorted(starts[1:], logits, side="right")]
        return sigmoid(np.log(found) - np.log1p(-found) + self.shift)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelCalibration(Curve):
    """A calibration that was fitted to one model, and is refused for any other.

    ``Calibration.load`` reads one. Given as ``normalization``, it turns posteriors into chances of
    relevance. Raises ``InvalidRequestError`` for values that make no such function.
    """

    model: str
    """The name of the model that gave the logits."""
    digest: str | None = None
    """That of the model, by which it is told from others; without one, its name has to be the
    same.
    """
    name: str | None = None
    prior: Mapping[str, float] | None = None
    """The prior that was added to the logits in the fit, as ``Prior.to_dict`` has it."""

    def __post_init__(self) -> None:
        # In a class with slots, super() without arguments finds the class without them.
        Curve.__post_init__(self)
        _check(isinstance(self.model, str) and self.model != "", "model", "a name", self.model)
        for name in ("digest", "name"):
            given = getattr(self, name)
            _check(given is None or isinstance(given, str), name, "a str or null", given)
        if self.prior is not None:
            given = self.prior
            known = isinstance(given, Mapping) and set(given) == set(_PRIOR)
            right = known and all(map(_is_finite, given.values()))
            _check(right, "prior", f"null, or finite numbers as {list(_PRIOR)}", given)
            object.__setattr__(self, "prior", {name: float(given[name]) for name in _PRIOR})

    def check_model(self, model: str, identity: Callable[[], str | None] | None) -> None:
        """Pass the model that it was fitted to.

        ``identity`` gives the digest of the model that scored. Raises ``InvalidRequestError`` for
        another one, and for one that can't be told from others.
        """
        mine = f"{self.label} was fitted to {self.model}"
        if self.digest is None:
            if model != self.model:
                raise InvalidRequestError(f"{mine}, by its name, and {model} scored; {_ADVICE}")
            return
        found = identity() if identity is not None else None
        if found is None:
            raise InvalidRequestError(
                f"{mine} (digest {self.digest[:12]}), and {model} has no digest that could tell "
                f"whether it is that model; {_ADVICE}"
            )
        if found != self.digest:
            raise InvalidRequestError(
                f"{mine} (digest {self.digest[:12]}), and {model} (digest {found[:12]}) is another "
                f"model; {_ADVICE}"
            )

    @property
    def label(self) -> str:
        """The words that name it in messages."""
        return "the calibration" if self.name is None else f"the calibration {self.name!r}"

    def to_dict(self) -> dict[str, Any]:
        """The values by name, which the option ``normalization`` takes too."""
        given = {field.name: getattr(self, field.name) for field in fields(ModelCalibration)}
        prior = None if self.prior is None else dict(self.prior)
        return {**given, "steps": [list(each) for each in self.steps], "prior": prior}

    @classmethod
    def of(cls, content: Mapping[str, Any]) -> ModelCalibration:
        """Make one of ``to_dict``. Raises ``InvalidRequestError`` for what isn't that."""
        known = {field.name for field in fields(ModelCalibration)}
        unknown = sorted(map(str, set(content) - known))
        if unknown:
            raise InvalidRequestError(
                f"a calibration has no {unknown[0]!r}; expected some of {sorted(known)}"
            )
        for name in ("kind", "model"):
            if name not in content:
                raise InvalidRequestError(f"a calibration needs {name!r}; there is none")
        return cls(**content)

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> ModelCalibration:
        """Read a file that ``resift calibrate`` wrote.

        Raises ``InvalidRequestError`` that names the file, and what is wrong with which key.
        """
        content = _content(Path(path))
        known = {field.name for field in fields(ModelCalibration)}
        try:
            return cls.of({name: value for name, value in content.items() if name in known})
        except InvalidRequestError as error:
            raise InvalidRequestError(
                f"{os.fspath(path)}: {error}. Write it again with resift calibrate"
            ) from error


_ADVICE = (
    "its scores would be wrong here. Fit one to this model with resift calibrate, or leave "
    "normalization out"
)


def calibrations_folder() -> Path:
    """The folder of calibrations that are known by name."""
    return cache_folder() / "calibrations"


def is_path(given: str) -> bool:
    """Whether it is the path of a calibration's file, and not a name."""
    return given.endswith(".json") or "/" in given or os.sep in given


def file_of(given: str) -> Path | None:
    """The file of a calibration that is named, or that is given by its path.

    ``None`` for what can't be a name.
    """
    if is_path(given):
        return Path(given).expanduser()
    return calibrations_folder() / f"{given}.json" if _NAME.fullmatch(given) else None


def load(given: str | os.PathLike[str]) -> ModelCalibration:
    """Read a calibration by its path, or by its name in the cache.

    Raises ``InvalidRequestError`` where there is none, or a damaged one.
    """
    text = os.fspath(given)
    file = file_of(text)
    if file is None or not file.is_file():
        raise InvalidRequestError(
            f"there is no calibration {text!r}; expected the path of a .json file that resift "
            f"calibrate wrote, or a name in {calibrations_folder()}, which has {known_names()}"
        )
    return ModelCalibration.read(file)


def known_names() -> list[str]:
    """The names of all calibrations in the cache, sorted."""
    return sorted(each.stem for each in calibrations_folder().glob("*.json"))


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidRequestError(
            f"{path} can't be read as a calibration: {error}; expected JSON that resift calibrate "
            "wrote"
        ) from error
    if not isinstance(content, dict):
        raise InvalidRequestError(f"{path} holds a {type(content).__name__}; expected an object")
    version = content.get("format")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise InvalidRequestError(f"{path}: 'format' must be {FORMAT}, not {version!r}")
    if version > FORMAT:
        raise InvalidRequestError(
            f"{path}: 'format' is {version}, and this version of resift reads up to {FORMAT}; "
            "update resift (pip install --upgrade resift)"
        )
    return content


def _checked_steps(kind: str, given: object) -> tuple[tuple[float, float], ...]:
    if kind != "isotonic":
        _check(given in ((), []), "steps", f"empty for {kind!r}", given)
        return ()
    pairs = isinstance(given, Sequence) and all(
        isinstance(each, Sequence) and len(each) == 2 and all(map(_is_finite, each))
        for each in given
    )
    _check(pairs and given, "steps", "pairs of a logit and a chance, at least one", given)
    steps = [(float(each[0]), float(each[1])) for each in given]  # type: ignore[attr-defined]
    _check(all(0 < each[1] < 1 for each in steps), "steps", "chances between 0 and 1", given)
    rises = all(left[0] < right[0] and left[1] < right[1] for left, right in pairwise(steps))
    _check(rises, "steps", "pairs that rise, in logit and chance", given)
    return tuple(steps)


def _is_finite(given: object) -> bool:
    return isinstance(given, Real) and not isinstance(given, bool) and math.isfinite(given)


def _check(right: object, name: str, expected: str, given: object) -> None:
    if not right:
        raise InvalidRequestError(
            f"{name!r} of a calibration must be {expected}, not {repr(given)[:80]}"
        )
