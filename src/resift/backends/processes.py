"""One model on several devices: a process for each, and each batch to an idle one."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resift.errors import BackendUnavailableError, ResiftError
from resift.text.batch import Batch


class ProcessesBackend:
    """Runs the backend ``name`` once on each of ``devices``, which may repeat.

    The processes share ``threads``; the other arguments are those of ``Backend``. Raises what the
    backend raises, and ``BackendUnavailableError`` as soon as a process has ended for any reason.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        devices: Sequence[str],
        precision: str,
        threads: int,
        vocabulary_ids: Sequence[int],
    ) -> None:
        options = {
            "precision": precision,
            "threads": max(1, threads // len(devices)),
            "vocabulary_ids": list(vocabulary_ids),
        }
        processes = [_Process(name, path, {"device": device, **options}) for device in devices]
        # Only now, so that all load at the same time.
        facts = [process.receive() for process in processes]
        self.device = ", ".join(each["device"] for each in facts)
        self.workers = len(devices)
        self.max_batch_tokens = min(each["max_batch_tokens"] for each in facts)
        self.length_multiple = max(each["length_multiple"] for each in facts)
        self.pads = all(each["pads"] for each in facts)
        self._idle: SimpleQueue[_Process] = SimpleQueue()
        for process in processes:
            self._idle.put(process)

    def forward(self, batch: Batch) -> NDArray[np.float32]:
        """Run the backend's ``forward`` in the process that is idle first."""
        process = self._idle.get()
        try:
            process.send(batch)
            outputs: NDArray[np.float32] = process.receive()
        finally:
            # Also when it has ended: the next batch then raises too, and doesn't wait forever.
            self._idle.put(process)
        return outputs


class _Process:
    """A Python process that runs ``serve``.

    It ends with this object, and also when its standard input closes, as when the program is
    killed.
    """

    def __init__(self, name: str, path: Path, options: dict[str, Any]) -> None:
        self._device = options["device"]
        # Not multiprocessing: its children import the caller's program again, and a fork of the
        # caller ends them when it exits.
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {__name__} import serve; serve()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        weakref.finalize(self, _end, self._process, os.getpid())
        self.send((name, path, options))

    def send(self, message: Any) -> None:
        """Send a message. Raises ``BackendUnavailableError`` if the process has ended."""
        assert self._process.stdin is not None
        try:
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()
        except OSError as error:
            raise self._ended() from error

    def receive(self) -> Any:
        """Wait for the answer. Raises what was raised in the process, or as ``send``."""
        assert self._process.stdout is not None
        try:
            answer = pickle.load(self._process.stdout)
        except (EOFError, OSError, pickle.UnpicklingError) as error:
            raise self._ended() from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def _ended(self) -> BackendUnavailableError:
        # Its pipes are closed, so it has ended or is about to.
        try:
            status: object = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            status = "unknown"
        return BackendUnavailableError(
            f"the process for device {self._device!r} (pid {self._process.pid}) has ended with "
            f"exit status {status}; expected it to answer. Its standard error may say why, or the "
            "system's log if it was killed for memory. Make a new Reranker"
        )


def _end(process: subprocess.Popen[bytes], starter: int) -> None:
    """End a process that is no longer used, and close its pipes; ``starter`` started it."""
    if os.getpid() == starter:
        process.kill()
        process.wait()
    else:
        # In a fork of the program, which isn't the parent, poll() just marks it as ended.
        process.poll()
    for pipe in (process.stdin, process.stdout):
        if pipe:
            # Flushing may fail when the process has ended.
            with suppress(OSError):
                pipe.close()


def serve() -> None:
    """Run a backend in this process: read its arguments, then answer batches until input ends."""
    from resift.backends.choice import backend_class

    source = sys.stdin.buffer
    # Only answers go to the parent; anything that libraries print goes to standard error.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def answer(message: Any) -> None:
        pickle.dump(message, answers)
        answers.flush()

    try:
        name, path, options = pickle.load(source)
        backend = backend_class(name)(path, **options)
        facts = ("device", "max_batch_tokens", "length_multiple", "pads")
        answer({fact: getattr(backend, fact) for fact in facts})
    except Exception as error:
        answer(_sendable(error))
        return
    while True:
        try:
            batch = pickle.load(source)
        except EOFError:
            return
        try:
            answer(backend.forward(batch))
        except Exception as error:
            answer(_sendable(error))


def _sendable(error: Exception) -> Exception:
    return error if isinstance(error, ResiftError) else RuntimeError(repr(error))
