"""Cases of the process: one CPU, no network, a fork, the end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memory import threads_ticks
from subject import Loaded, Outcome, Subject, right, said, same, wrong
from workloads import request

_FORK_SECONDS = 30.0
_CPU_SECONDS = 3.0
# A thread shares the model's work that uses more than this part of the busiest one's time.
_COMPUTES = 0.5
# As shells tell the end by SIGTERM, and as servers' handlers do.
TERMINATED = 128 + signal.SIGTERM


def one_cpu(subject: Subject) -> Outcome:
    """The process may use one CPU; the machine has more."""
    _limit_cpus()
    loaded = subject.load()
    given = request("mixed", 10, 1)
    loaded.scores(*given)
    before = threads_ticks()
    end = time.perf_counter() + _CPU_SECONDS
    while time.perf_counter() < end:
        loaded.scores(*given)
    used = sorted(ticks - before.get(name, 0) for name, ticks in threads_ticks().items())
    if not used:
        return Outcome("left out", "this system doesn't tell the time of threads")
    busy = sum(ticks > _COMPUTES * used[-1] for ticks in used)
    shares = ", ".join(f"{ticks / max(1, sum(used)):.0%}" for ticks in used[:-4:-1])
    note = f"{busy} of {len(used)} threads compute: {shares} of the time; {os.cpu_count()} CPUs"
    return (right if busy == 1 else wrong)(note, busy=busy, threads=len(used))


def _limit_cpus() -> None:
    """Join the group that the driver made, or stay on one CPU; before any library looks."""
    if group := os.environ.get("HOSTILE_GROUP"):
        Path(group, "cgroup.procs").write_text(str(os.getpid()), encoding="utf-8")
    if "HOSTILE_AFFINITY" in os.environ:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])


def offline(subject: Subject) -> Outcome:
    """No network, and nothing that says so."""
    tried: list[str] = []
    _watch_sockets(tried)
    start = time.perf_counter()
    try:
        subject.load().scores(*request("short", 5, 1))
    except Exception as error:
        return wrong(f"a model on disk isn't found: {said(error)}")
    seconds = time.perf_counter() - start
    what = f"asks for {', '.join(sorted(set(tried)))}" if tried else "asks nobody"
    return right(f"loads and ranks in {seconds:.1f} s; {what}", seconds=seconds, asked=len(tried))


def _watch_sockets(tried: list[str]) -> None:
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connecting(self: socket.socket, address: Any) -> None:
        tried.append(str(address[0]))
        connect(self, address)

    def looking_up(host: Any, *rest: Any, **options: Any) -> Any:
        tried.append(str(host))
        return look_up(host, *rest, **options)

    socket.socket.connect = connecting  # type: ignore[assignment, method-assign]
    socket.getaddrinfo = looking_up


def fork(subject: Subject) -> Outcome:
    """The model is loaded and has ranked; then a child ranks."""
    loaded = subject.load()
    given = request("short", 10, 1)
    expected = loaded.scores(*given)
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(loaded, given, sender))
    child.start()
    if not receiver.poll(_FORK_SECONDS):
        child.kill()
        return Outcome("hung", f"the child hasn't answered after {_FORK_SECONDS:.0f} s")
    try:
        found = receiver.recv()
    except EOFError:
        child.join()
        return Outcome("crashed", f"the child ended with status {child.exitcode}")
    child.join(_FORK_SECONDS)
    if child.exitcode is None:
        child.kill()
        return Outcome("hung", "the child answers, but doesn't end")
    if isinstance(found, str):
        return wrong(f"the child can't rank: {found}")
    if not same(found, expected) or not same(loaded.scores(*given), expected):
        return wrong("child or parent gives other scores than before")
    return right("the child ranks and ends, the parent ranks on")


def _child(loaded: Loaded, given: tuple[str, Sequence[str]], sender: Any) -> None:
    try:
        sender.send(loaded.scores(*given))
    except Exception as error:
        sender.send(said(error))


def sigterm(subject: Subject) -> Outcome:
    """A long call in the main thread, and SIGTERM in the middle of it.

    The driver sees how the process ends: an outcome is given only where it doesn't.
    """
    loaded = subject.load()
    query, documents = request("short", subject.settings["long_call"], 1)
    loaded.scores(query, documents[:10])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))

    def stop() -> None:
        time.sleep(0.3)
        subject.say({"signalled": time.monotonic()})
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop, daemon=True).start()
    loaded.scores(query, documents)
    # Where the call was over first, there was nothing to interrupt.
    time.sleep(1)
    return wrong("SIGTERM was lost")
