"""The choice of weights, precision and backend, made here and nowhere else.

Fetching, opening, showing and bundling a model all follow ``plan``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from resift import machine
from resift.backends.choice import having_code, with_code
from resift.backends.table import backend_entry
from resift.errors import BackendUnavailableError, ModelNotFoundError
from resift.machine import Processor
from resift.models.artifacts import Choice
from resift.models.card import Artifact
from resift.models.folder import ModelFiles
from resift.precision import NARROW_INT8

_INT8 = ("int8", NARROW_INT8)


class Way(NamedTuple):
    """One way to run a model."""

    backend: str
    precision: str
    artifact: Artifact


class Plan(NamedTuple):
    """All the ways to run a model on a processor."""

    ways: Sequence[Way]
    """The preferred one first; each is for when those before it fail."""
    refused: Sequence[str]
    """The reasons why the processor can't run others."""


def plan(
    artifacts: Sequence[Artifact],
    backends: Sequence[str],
    precision: str | None,
    processor: Processor,
) -> Plan:
    """Plan the ways to run a model that has these artifacts on these backends; maybe none.

    The precision is the one requested or, for ``None``, each that weights are stored in, in the
    order of the artifacts, with those that a backend is reluctant to run last. ``"int8"`` includes
    ``"int8-narrow"``, which goes first where it is faster. Within a precision, the order is that of
    the backends.
    """
    asked = None if precision is None else _stored_as(precision)
    made_for_it = [each for each in artifacts if each.cpu is None or each.cpu in processor.features]
    refused = [
        f"{each.file} was made for processors with {each.cpu}, which this one lacks"
        for each in artifacts
        if each not in made_for_it and (asked is None or each.precision in asked)
    ]
    wanted = [each.precision for each in made_for_it] if asked is None else asked
    ways: list[Way] = []
    for runs in _faster_first(wanted, processor):
        for backend in backends:
            found = [
                Way(backend, runs, artifact)
                for stored in backend_entry(backend).runs.get(runs, ())
                for artifact in made_for_it
                if artifact.format in backend_entry(backend).formats
                and artifact.precision == stored
                # A precision other than the weights' is only used when requested.
                if precision is not None or stored == runs
            ]
            reason = processor.lacking(backend, runs) if found else None
            if reason is None:
                ways += found
            else:
                refused.append(reason)
    if precision is None:
        ways.sort(key=_reluctance)
    return Plan(ways, list(dict.fromkeys(refused)))


def _stored_as(precision: str) -> Sequence[str]:
    """The stored precisions of weights for a precision that is requested."""
    return _INT8 if precision == "int8" else (precision,)


def _faster_first(precisions: Iterable[str], processor: Processor) -> list[str]:
    """Remove duplicates, keeping the order, but put the faster of the two kinds of int8 first."""
    found = list(dict.fromkeys(precisions))
    if not set(_INT8).issubset(found):
        return found
    faster = iter(reversed(_INT8) if processor.int8_saturates() else _INT8)
    return [next(faster) if each in _INT8 else each for each in found]


def _reluctance(way: Way) -> int:
    reluctant = backend_entry(way.backend).reluctant
    return 1 + reluctant.index(way.precision) if way.precision in reluctant else 0


@dataclass(frozen=True, slots=True)
class Wish:
    """The weights to fetch, by the plan; implements ``models.artifacts.Wanted``."""

    backends: Sequence[str]
    precision: str | None
    processor: Processor

    @classmethod
    def of(cls, backends: Sequence[str], precision: str | None) -> Wish:
        """Wish for ``precision`` on those of ``backends`` that run it on this processor.

        Raises ``BackendUnavailableError`` where no backend runs it, or this processor can't.
        """
        processor = machine.processor()
        if precision is None:
            return cls(backends, precision, processor)
        asked = _stored_as(precision)
        running = [
            (name, each) for name in backends for each in asked if each in backend_entry(name).runs
        ]
        if not running:
            known = {name: list(backend_entry(name).runs) for name in backends}
            raise BackendUnavailableError(
                f"precision {precision!r} is not one that the installed backends run: {known}; "
                "leave precision out, or install another backend"
            )
        reasons = {each: processor.lacking(*each) for each in running}
        able = [name for (name, _), reason in reasons.items() if reason is None]
        if not able:
            raise BackendUnavailableError("; ".join(dict.fromkeys(map(str, reasons.values()))))
        return cls(list(dict.fromkeys(able)), precision, processor)

    @property
    def formats(self) -> list[str]:
        """The kinds of files that the backends read, the preferred one first."""
        return list(
            dict.fromkeys(each for name in self.backends for each in backend_entry(name).formats)
        )

    def choose(self, artifacts: Sequence[Artifact], config: Mapping[str, Any]) -> Choice:
        """Choose the weights of the first way, and float32 ones for batches that give NaN."""
        # Where no backend has the code, the check of the configuration raises.
        able = with_code(self.backends, config) if config else []
        backends = able or self.backends
        found = plan(artifacts, backends, self.precision, self.processor)
        if not found.ways:
            return Choice([], found.refused)
        first = found.ways[0]
        wide = wider(artifacts, first, backends, self.processor)
        chosen = [first, wide] if wide else [first]
        return Choice(list(dict.fromkeys(way.artifact for way in chosen)), found.refused)


def wider(
    artifacts: Sequence[Artifact], way: Way, backends: Sequence[str], processor: Processor
) -> Way | None:
    """The way to compute again in float32 what came out as NaN, on the same backend if possible."""
    return next(iter(plan(artifacts, [way.backend, *backends], "fp32", processor).ways), None)


def plan_of(
    files: ModelFiles, backends: Sequence[str], precision: str | None, device: str | None = None
) -> Plan:
    """Plan the ways to run a model with the weights in its folder: at least one.

    Raises ``BackendUnavailableError`` where there is none, naming ``device``, and
    ``ModelNotFoundError`` where files that the card lists are missing.
    """
    able = having_code(backends, files.config, files.name, device)
    processor = machine.processor()
    found = plan(files.artifacts, able, precision, processor)
    if found.ways:
        return found
    if files.card:
        listed = plan(files.card.artifacts, able, precision, processor)
        if listed.ways:
            names = list(dict.fromkeys(way.artifact.file for way in listed.ways))
            raise ModelNotFoundError(
                f"{files.name}: its card lists {' and '.join(names)}, missing from "
                f"{files.folder}; get the model again, or choose another precision or backend"
            )
    stored = sorted({f"{each.precision} ({each.format})" for each in files.artifacts})
    reasons = "".join(f"{reason}. " for reason in found.refused)
    raise BackendUnavailableError(
        f"{reasons}{files.name} has no weights that {' or '.join(able)} runs in precision "
        f"{precision or 'any'}{f' on device {device}' if device else ''}; {files.folder} has "
        f"{stored or 'none'}. Leave precision and backend out to take what there is, or export the "
        "model: expected model.onnx, onnx/model.onnx or, for the backend 'torch', model.safetensors"
    )
