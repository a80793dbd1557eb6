"""What the system can take away from a process: CPUs and the network."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

_GROUPS = Path("/sys/fs/cgroup")
_PERIOD = 100_000


@dataclass(frozen=True)
class Limit:
    """Words before a command and variables for it; ``said`` is how, or why not."""

    said: str
    possible: bool = True
    prefix: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)


@contextmanager
def one_cpu() -> Iterator[Limit]:
    """A control group whose quota is one CPU; where none can be made, affinity to one."""
    # A group may be made below the process's own, where it is the administrator's or delegated.
    for folder in (_own_group(""), _own_group("cpu")):
        group = folder / f"hostile-{os.getpid()}"
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            kind = _set_quota(group)
            if kind:
                yield Limit(f"by a {kind} quota", variables={"HOSTILE_GROUP": str(group)})
                return
        finally:
            with suppress(OSError):
                group.rmdir()
    if hasattr(os, "sched_setaffinity"):
        yield Limit("by affinity", variables={"HOSTILE_AFFINITY": "1"})
    else:
        yield Limit("this system limits no process to a CPU", possible=False)


def _own_group(controller: str) -> Path:
    """The process's own group: of cgroup 2, or of a controller of cgroup 1."""
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            _, controllers, path = line.split(":", 2)
            if controller in controllers.split(","):
                return _GROUPS / controller / path.lstrip("/")
    return _GROUPS / controller


def _set_quota(group: Path) -> str:
    """Limit it to one CPU; the kind of group, or nothing where it can't be limited."""
    kinds = (
        ("cgroup v2", "cpu.max", f"{_PERIOD} {_PERIOD}"),
        ("cgroup v1", "cpu.cfs_quota_us", str(_PERIOD)),
    )
    for kind, name, value in kinds:
        if (group / name).exists():
            try:
                (group / name).write_text(value, encoding="utf-8")
            except OSError:
                continue
            return kind
    return ""


def no_network() -> Limit:
    """A network namespace without anything in it."""
    for words in (("unshare", "--net"), ("unshare", "--net", "--map-root-user")):
        if (
            shutil.which(words[0])
            and not subprocess.run([*words, "true"], capture_output=True).returncode
        ):
            return Limit("in a network namespace of its own", prefix=words)
    return Limit("no network namespace can be made here", possible=False)
