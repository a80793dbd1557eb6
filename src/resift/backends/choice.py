"""The choice of a backend: installed ones, and those that have a model's code."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from types import ModuleType
from typing import Any, TypeVar

from resift.backends.protocol import Backend
from resift.backends.table import BACKENDS, PLUGINS, BackendEntry, backend_entry
from resift.errors import BackendUnavailableError

T = TypeVar("T")


def installed_backends(name: str, device: str | None = None) -> list[str]:
    """The installed backends that ``name`` stands for, at least one.

    ``"auto"`` stands for resift's own that run on the kind of ``device``, or on any for ``None``;
    where there is none, for those of other packages. Raises ``InvalidRequestError`` for an unknown
    name, ``BackendUnavailableError`` for a backend that isn't installed, can't be loaded or needs
    another version of a package, and for a device that no backend has.
    """
    wanted = _on(device, BACKENDS) if name == "auto" else [name]
    usable = _usable(wanted) or (_others(device) if name == "auto" else [])
    if usable:
        return usable
    if not wanted:
        known = sorted({each for entry in BACKENDS.values() for each in entry.devices})
        raise BackendUnavailableError(
            f"no backend has a device {device!r}; expected one of {known}, or None"
        )
    for_device = "" if device is None else f" for device {device!r}"
    installed = [each for each in wanted if _is_installed(each)]
    if installed:
        raise BackendUnavailableError(
            f"backend {name!r} needs {' or '.join(map(_wrong_versions, installed))}{for_device}; "
            f"in an environment for it, pip install {backend_entry(installed[0]).install}"
        )
    needed = [" and ".join(backend_entry(each).requires) for each in wanted]
    raise BackendUnavailableError(
        f"backend {name!r} needs {' or '.join(needed)}{for_device}, which is not installed; "
        f"pip install {backend_entry(wanted[0]).install}"
    )


def first_able(name: str, device: str | None, run: Callable[[Sequence[str]], T]) -> T:
    """Return ``run(backends)`` for the backends that ``name`` stands for.

    If it raises ``BackendUnavailableError`` for ``"auto"``, it is called again with the backends of
    other packages added, where there are any.
    """
    backends = installed_backends(name, device)
    try:
        return run(backends)
    except BackendUnavailableError:
        others = [each for each in _others(device) if each not in backends]
        if name != "auto" or not others:
            raise
        return run([*backends, *others])


def _others(device: str | None) -> list[str]:
    """The backends of other packages that "auto" may take."""
    return _usable(_on(device, PLUGINS.usable()))


def _on(device: str | None, entries: Mapping[str, BackendEntry]) -> list[str]:
    kind = None if device is None else device.split(":")[0]
    return [name for name, entry in entries.items() if kind is None or kind in entry.devices]


def _usable(names: Sequence[str]) -> list[str]:
    return [each for each in names if _is_installed(each) and not _wrong_versions(each)]


def _is_installed(name: str) -> bool:
    return all(map(find_spec, backend_entry(name).requires))


def _wrong_versions(name: str) -> str:
    """The versions that an importable backend expects, and those found; empty where they fit."""
    wrong = []
    for each, (first, above) in backend_entry(name).versions.items():
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
    owners = _owners(config, backends)
    if not owners:
        expected = sorted(each for name in backends for each in backend_entry(name).architectures)
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
    owners = _owners(config, backends)
    if owners:
        return [name for name in backends if name in owners]
    return [name for name in backends if not backend_entry(name).architectures]


def _owners(config: Mapping[str, Any], backends: Sequence[str]) -> list[str]:
    """The backends that have the only code of an architecture in ``config.json``."""
    architectures = set(config.get("architectures") or ())
    known = dict.fromkeys([*BACKENDS, *backends])
    return [name for name in known if architectures.intersection(backend_entry(name).architectures)]


def lacking(name: str, precision: str) -> str | None:
    """The reason why this processor can't run a backend's precision, or ``None`` if it can.

    Imports the backend's module where not every processor can run the precision.
    """
    if precision not in backend_entry(name).probed:
        return None
    try:
        reason: str | None = _module(name).lacking(precision)
    except BackendUnavailableError as error:
        return str(error)
    return reason


def int8_saturates() -> bool:
    """Whether exact int8 needs slower instructions on this processor."""
    saturates: bool = _module("onnx").int8_saturates()
    return saturates


def backend_class(name: str) -> type[Backend]:
    """Import and return the class behind a backend's name.

    Raises ``BackendUnavailableError`` where another package's module can't be imported.
    """
    cls: type[Backend] = getattr(_module(name), backend_entry(name).cls)
    return cls


def _module(name: str) -> ModuleType:
    module = backend_entry(name).module
    try:
        return import_module(module)
    # The package's code may raise anything.
    except Exception as error:
        if name in BACKENDS:
            raise
        raise BackendUnavailableError(
            f"backend {name!r} of {PLUGINS.package(name)}: its module {module} can't be imported: "
            f"{error!r}; update or uninstall the package"
        ) from error
