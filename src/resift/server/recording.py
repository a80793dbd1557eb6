"""Recording what is ranked, beside the answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from resift.errors import InvalidRequestError
from resift.protocols import WireQuery
from resift.ranking import Ranking
from resift.recording import Recorder
from resift.server.settings import Record

_logger = logging.getLogger(__name__)

# Requests that wait for a slow disk; they hold their documents.
_MOST_WAITING = 64


def recorder_of(record: Record) -> Recorder | None:
    """The recorder that these settings describe, if any; nothing is written yet.

    Raises ``InvalidRequestError`` for what it can't be made of.
    """
    if record.file is None:
        return None
    return Recorder(
        record.file,
        rate=record.rate,
        text=record.text,
        salt=None if record.salt_file is None else _salt(record.salt_file),
        max_bytes=record.max_bytes,
        keep=record.keep,
    )


class Recording:
    """Gives rankings to a recorder, in a thread of its own: no answer waits for it, and none fails.

    ``count`` hears of queries that are ``"written"``, ``"failed"`` or ``"dropped"``, with their
    number; it is called in any thread.
    """

    def __init__(self, recorder: Recorder | None, count: Callable[[str, int], None]) -> None:
        self._recorder, self._count = recorder, count
        self._room = threading.BoundedSemaphore(_MOST_WAITING)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="resift-recording")
        self._has_dropped = False

    def record(self, queries: Sequence[WireQuery], rankings: Sequence[Ranking]) -> None:
        """Record a request that was ranked, soon; where too many wait already, it is dropped."""
        if self._recorder is None:
            return
        if self._room.acquire(blocking=False):
            self._thread.submit(self._write, self._recorder, queries, rankings)
            return
        self._count("dropped", len(queries))
        if not self._has_dropped:
            self._has_dropped = True
            _logger.warning(
                "a request wasn't recorded in %s, as %d wait for the disk; further ones are only "
                "counted, in resift_recorded_total",
                self._recorder.path,
                _MOST_WAITING,
            )

    def close(self) -> None:
        """Write what waits."""
        self._thread.shutdown()

    def _write(
        self, recorder: Recorder, queries: Sequence[WireQuery], rankings: Sequence[Ranking]
    ) -> None:
        try:
            written, failed = recorder.written, recorder.failed
            for query, ranking in zip(queries, rankings, strict=True):
                recorder.record(
                    query.query,
                    query.documents,
                    first_stage_scores=query.first_stage_scores,
                    ranking=ranking,
                )
            self._count("written", recorder.written - written)
            self._count("failed", recorder.failed - failed)
        finally:
            self._room.release()


def _salt(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it isn't UTF-8"
        raise InvalidRequestError(
            f"salt_file {path} can't be read: {reason}; expected a file with the salt alone, a "
            "secret of at least 16 characters"
        ) from error
