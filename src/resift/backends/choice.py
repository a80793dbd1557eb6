"""Which of the backends can be used here, and for which models."""

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
    """The backends that ``name`` stands for and that are installed, at least one.

    ``"auto"`` stands for those that run on the kind of ``device``, or on any for ``None``. Raises
    ``InvalidRequestError`` for a name that doesn't exist, ``BackendUnavailableError`` for one that
    isn't installed or needs another version of a package, or a device that no backend has.
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
    """What versions an importable backend expects, and what was found; empty where it fits."""
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
    # A folder of the same name can be imported too.
    except PackageNotFoundError:
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    """The first two alone; none for none."""
    return tuple(map(int, re.findall(r"\d+", text)[:2]))


def having_code(
    backends: Sequence[str], config: Mapping[str, Any], model: str, device: str | None = None
) -> list[str]:
    """Those of ``backends`` that have the code for a ``config.json``, at least one.

    Raises ``BackendUnavailableError`` where there is none, with what would have it.
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
    """Those of ``backends`` that have the code for a ``config.json``; maybe none."""
    owners = _owners(config)
    if owners:
        return [name for name in backends if name in owners]
    return [name for name in backends if not BACKENDS[name].architectures]


def _owners(config: Mapping[str, Any]) -> list[str]:
    """The backends that alone have the code of an architecture in ``config.json``."""
    architectures = set(config.get("architectures") or ())
    return [name for name in BACKENDS if architectures.intersection(BACKENDS[name].architectures)]


def lacking(name: str, precision: str) -> str | None:
    """Why this processor can't run a precision that a backend runs, or ``None`` where it can.

    Imports the backend's module where not every processor can.
    """
    entry = BACKENDS[name]
    if precision not in entry.probed:
        return None
    reason: str | None = import_module(entry.module).lacking(precision)
    return reason


def int8_saturates() -> bool:
    """Whether this processor takes slower instructions for int8 that is exact."""
    saturates: bool = import_module(BACKENDS["onnx"].module).int8_saturates()
    return saturates


def backend_class(name: str) -> type[Backend]:
    """The class behind a name of ``BACKENDS``; its module is imported only now."""
    entry = BACKENDS[name]
    cls: type[Backend] = getattr(import_module(entry.module), entry.cls)
    return cls
