"""Memory and processor time of processes, from ``/proc``; nothing where there is none."""

from __future__ import annotations

import os
import re
from pathlib import Path

_NAMES = {"now": "VmRSS", "peak": "VmHWM"}


def memory(process: int | str = "self") -> dict[str, int]:
    """Resident bytes ``now`` and at most (``peak``); empty where they are unknown."""
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    # A process that has ended and wasn't waited for has no memory.
    found = {name: fields.get(key, "").split() for name, key in _NAMES.items()}
    return {name: int(words[0]) * 1024 for name, words in found.items() if words}


def processor_seconds(process: int) -> float | None:
    """What all threads of a process have used so far, where the system tells."""
    path = Path(f"/proc/{process}/stat")
    if not path.exists():
        return None
    # The second field is a name in brackets; user and system time are the 14th and 15th.
    fields = path.read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def threads_ticks() -> dict[str, int]:
    """Processor time of each thread of this process by its number, in ticks of the clock."""
    found = {}
    for path in Path("/proc/self/task").glob("*/stat"):
        try:
            text = path.read_text(encoding="utf-8")
        except OSError:  # It has ended meanwhile.
            continue
        # The second field is a name in brackets; user and system time are the 14th and 15th.
        fields = text.rpartition(")")[2].split()
        found[path.parent.name] = int(fields[11]) + int(fields[12])
    return found


def family_memory(root: int) -> float:
    """Bytes that a process and all below it hold; what they share is counted once."""
    parents: dict[int, int] = {}
    for each in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = re.sub(r"^.*\)", "", each.read_text(encoding="utf-8")).split()
        except OSError:
            continue
        parents[int(each.parent.name)] = int(fields[1])
    family = {root}
    while more := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= more
    total = 0
    for pid in family:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8")
        except OSError:
            continue
        total += 1024 * sum(int(each) for each in re.findall(r"^Pss:\s+(\d+)", text, re.M))
    return float(total)
