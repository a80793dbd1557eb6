"""The cases: what is done, and what is right."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import crowds
import inputs
import processes
from subject import Outcome, Subject


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row."""

    title: str
    rule: str
    """What is right, for everybody; then what is wrong."""
    run: Callable[[Subject], Outcome]
    seconds: float = 120.0
    """After which the process is ended, and has hung."""
    shape: str = "TinyBERT-L2"
    """The model's; how a library behaves doesn't depend on it, but memory does."""
    one_cpu: bool = False
    offline: bool = False
    poisoned: bool = False
    signalled: bool = False


_REFUSAL = "An error is right too, if the next call on plain documents works."
CASES = {
    "memory": Case(
        title="1,000 documents × 512 tokens",
        rule="A finite score for each, within the limits of memory and time.",
        run=crowds.large,
        seconds=300.0,
        shape="MiniLM-L6",
    ),
    "threads": Case(
        title="64 threads",
        rule="One model, 192 calls from 64 threads: no errors, and the scores of each call are "
        "within 1e-4 of the same library's in one thread.",
        run=crowds.threads,
    ),
    "tasks": Case(
        title="64 asyncio tasks",
        rule="As with threads, and p99 of the event loop's lag is at most 50 ms. Peers without an "
        "asynchronous call are given asyncio.to_thread.",
        run=crowds.tasks,
    ),
    "one-cpu": Case(
        title="1 CPU allowed, on a machine with more",
        rule="With the library's own number of threads, one of them does the model's work: no "
        "other uses more than half of its processor time. More take turns on that CPU, or are "
        "stopped by its quota in the middle of a call, the more the larger the machine. Each peer "
        "can be told a number.",
        shape="MiniLM-L6",
        run=processes.one_cpu,
        one_cpu=True,
    ),
    "offline": Case(
        title="No network",
        rule="With the model on disk, and no variable set that says so, it loads and ranks. Whom "
        "it asks in vain is noted.",
        run=processes.offline,
        offline=True,
    ),
    "nan": Case(
        title="NaN in the weights",
        rule="An error, when loading or ranking. Wrong: NaN handed on as scores, since nothing can "
        "be ordered by them.",
        run=inputs.nan,
        poisoned=True,
    ),
    "long-query": Case(
        title="A query of 10,000 tokens",
        rule=f"The query is cut, so that documents still differ in their scores. {_REFUSAL}",
        run=inputs.long_query,
    ),
    "none": Case(
        title="A document that is None",
        rule=f"A finite score for each document. {_REFUSAL} Wrong: fewer scores than documents.",
        run=inputs.none,
    ),
    "empty": Case(
        title='Documents "" and "   ", and no documents',
        rule=f"A finite score for each document. {_REFUSAL} No documents are what a search without "
        "hits gives: an empty answer, or a ValueError or TypeError that can be caught as what it "
        "is; an error from the insides (IndexError, KeyError, …) is wrong.",
        run=inputs.empty,
    ),
    "duplicates": Case(
        title="The same document several times",
        rule="A score for each, and the same for equal texts.",
        run=inputs.duplicates,
    ),
    "binary": Case(
        title="Control characters, lone surrogates, all of Latin-1, 1 MB; bytes",
        rule="These are str: a finite score for each, or a ValueError (of which UnicodeError is "
        "one) and the next call works. A TypeError is wrong: its type is what is asked for. bytes "
        "aren't str: scored or any error.",
        run=inputs.binary,
    ),
    "fork": Case(
        title="fork after load",
        rule="After a ranking in the parent, a forked child (multiprocessing's fork, as preloading "
        "servers do) ranks to the same scores within 30 s and ends; the parent ranks on. PyTorch "
        "documents that threads used before a fork may deadlock the child.",
        run=processes.fork,
    ),
    "drift": Case(
        title="10,000 calls",
        rule="Resident memory grows by at most 2 % after the first fifth of the calls.",
        run=crowds.drift,
        seconds=300.0,
    ),
    "sigterm": Case(
        title="SIGTERM in the middle of a call",
        rule="A call on 12,000 short documents runs in the main thread. SIGTERM's handler raises "
        "SystemExit, as servers' do: the process ends with that status within 3 s.",
        run=processes.sigterm,
        signalled=True,
    ),
}
