"""The choice of a backend: installed ones, and those that have a model's code."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from resift.backends.protocol import Backend
from resift.backends.table import BACKENDS
from resift.errors import BackendUnavailableError, InvalidRequestError


def installed_backends(name: str, device: str | None = None) -> list[str]:
    """The installed backends that ``name`` stands for, at least one.

    ``"auto"`` stands for those that run on the kind of ``device``, or on any device for ``None``.
    Raises ``InvalidRequestError`` for an unknown name, ``BackendUnavailableError`` for a backend
    that isn't installed or needs another version of a package, and for a device that no backend
    has.
    """
    if name != "auto" and name not in BACKENDS:
        raise InvalidRequestError(f"backend must be one of {['auto', *BACKENDS]}, not {name!r}")
    wanted = [name]
    if name == "auto":
        kind = None if device is None else device.split(":")[0]
        wanted = [each for each in BACKENDS if kind is None or kind in BACKENDS[each].devices]
    if not wanted:
        known = sorted({each for entry in BACKENDS.values() for each in entry.devices})
        raise BackendUnavailableError(
            f"no backend has a device {device!r}; expected one of {known}, or None"
        )
    installed = [each for each in wanted if all(map(find_spec, BACKENDS[each].requires))]
    usable = [each for each in installed if not _wrong_versions(each)]
    if usable:
        return usable
    for_device = "" if device is None else f" for device {device!r}"
    if installed:
        raise BackendUnavailableError(
            f"backend {name!r} needs {' or '.join(map(_wrong_versions, installed))}{for_device}; "
            f"in an environment for it, pip install {BACKENDS[installed[0]].install}"
        )
    needed = [" and ".join(BACKENDS[each].requires) for each in wanted]
    raise BackendUnavailableError(
        f"backend {name!r} needs {' or '.join(needed)}{for_device}, which is not installed; "
        f"pip install {BACKENDS[wanted[0]].install}"
    )


def _wrong_versions(name: str) -> str:
    """The versions that an importable backend expects, and those found; empty where they fit."""
    wrong = []
    for each, (first, above) in BACKENDS[name].versions.items():
        found = _version(each)
        is_below = above is None or _numbers(found) < _numbers(above)
        if not (is_below and _numbers(found) >= _numbers(first)):
            expected = f">={first}" + (f",<{above}" if above else "")
            wrong.append(f"{each}{expected}, but {found or 'none'} is installed")
    return " and ".join(wrong)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    # The module may be a folder of the same name.
    except PackageNotFoundError:
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    """The first two numbers of a version; empty for an empty text."""
    return tuple(map(int, re.findall(r"\d+", text)[:2]))


def having_code(
    backends: Sequence[str], config: Mapping[str, Any], model: str, device: str | None = None
) -> list[str]:
    """The ones of ``backends`` that have the code for a ``config.json``, at least one.

    ``model`` is the name for messages. Raises ``BackendUnavailableError`` where there is none,
    naming a backend that would have the code.
    """
    found = with_code(backends, config)
    if found:
        return found
    architectures = set(config.get("architectures") or ())
    owners = _owners(config)
    if not owners:
        expected = sorted(each for name in backends for each in BACKENDS[name].architectures)
        raise BackendUnavailableError(
            f"{model}: its architectures are {sorted(architectures)}, and backend "
            f"{' or '.join(map(repr, backends))} runs {expected} alone; leave backend out"
        )
    try:
        installed_backends(owners[0], device)
        reason = "leave backend out"
    except BackendUnavailableError as error:
        reason = str(error)
    raise BackendUnavailableError(
        f"{model}: its architectures are {sorted(architectures)}, which only backend "
        f"{owners[0]!r} runs; {reason}"
    )


def with_code(backends: Sequence[str], config: Mapping[str, Any]) -> list[str]:
    """The ones of ``backends`` that have the code for a ``config.json``; maybe none."""
    owners = _owners(config)
    if owners:
        return [name for name in backends if name in owners]
    return [name for name in backends if not BACKENDS[name].architectures]


def _owners(config: Mapping[str, Any]) -> list[str]:
    """The backends that have the only code of an architecture in ``config.json``."""
    architectures = set(config.get("architectures") or ())
    return [name for name in BACKENDS if architectures.intersection(BACKENDS[name].architectures)]


def lacking(name: str, precision: str) -> str | None:
    """The reason why this processor can't run a backend's precision, or ``None`` if it can.

    Imports the backend's module where not every processor can run the precision.
    """
    entry = BACKENDS[name]
    if precision not in entry.probed:
        return None
    reason: str | None = import_module(entry.module).lacking(precision)
    return reason


def int8_saturates() -> bool:
    """Whether exact int8 needs slower instructions on this processor."""
    saturates: bool = import_module(BACKENDS["onnx"].module).int8_saturates()
    return saturates


def backend_class(name: str) -> type[Backend]:
    """Import and return the class behind a name of ``BACKENDS``."""
    entry = BACKENDS[name]
    cls: type[Backend] = getattr(import_module(entry.module), entry.cls)
    return cls
