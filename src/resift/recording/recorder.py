"""``Recorder``: lines of JSON for a sample of queries."""

from __future__ import annotations

import json
import logging
import math
import os
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import blake2b
from numbers import Real
from pathlib import Path
from typing import Any

from resift.checks import check_bool, check_path, check_positive_int
from resift.errors import InvalidRequestError
from resift.ranking import Ranking
from resift.recording.candidates import Candidate, candidates_of
from resift.recording.file import Lines, salt_beside
from resift.request import encodable

_SALT_LENGTH = 16
"""The fewest characters of a salt that is given."""

_logger = logging.getLogger(__name__)


class Recorder:
    """Appends a line of JSON to a file for each query of a sample, from any thread or process.

    ``path``: the file, in a folder that exists; created for its owner alone (mode 0600). ``rate``:
    the share of different queries to record, 0 to 1; a keyed hash of the query decides, so the same
    query is always in or always out. ``text``: whether to write the texts of queries and documents,
    which are ``null`` otherwise. ``hash_ids``: whether to hash documents' ids. ``salt``: the key of
    all hashes, a secret of at least 16 characters; ``None`` makes one, and keeps it beside the file
    as ``PATH.salt``. ``max_bytes``: the size beyond which a file is put aside as ``NAME.1.jsonl``,
    and a new one begun; ``None`` for no bound. ``keep``: how many of those are kept, from 1.

    Raises ``InvalidRequestError`` for an invalid option. Recording raises nothing: what can't be
    written is counted in ``failed``, and the first time is logged as a warning.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rate: float = 1.0,
        text: bool = False,
        hash_ids: bool = True,
        salt: str | None = None,
        max_bytes: int | None = 100_000_000,
        keep: int = 5,
    ) -> None:
        self.path = _check_file(path)
        self.rate = _check_rate(rate)
        self.text: bool = check_bool("text", text)
        self.hash_ids: bool = check_bool("hash_ids", hash_ids)
        self.max_bytes = check_positive_int("max_bytes", max_bytes, "None for no bound")
        kept = check_positive_int("keep", keep, "left out")
        if kept is None:
            raise InvalidRequestError("keep must be an int of at least 1, not None")
        self.keep = kept
        self._lines = Lines(self.path, self.max_bytes, kept)
        self._key = None if salt is None else _key(_check_salt(salt))
        self._lock = threading.Lock()
        self._written = 0
        self._failed = 0

    @property
    def written(self) -> int:
        """The number of lines that this recorder wrote."""
        return self._written

    @property
    def failed(self) -> int:
        """The number of queries of the sample that it couldn't write."""
        return self._failed

    def record(
        self,
        query: str,
        documents: Iterable[str | None],
        *,
        ids: Iterable[str | None] | None = None,
        first_stage_scores: Iterable[float | None] | None = None,
        ranking: Ranking | None = None,
    ) -> None:
        """Record the texts that a first stage found for a query, in its order.

        ``ids`` and ``first_stage_scores`` have one for each document. ``ranking``: what
        ``Reranker.rank`` made of these documents, where it did.
        """
        self.record_candidates(
            query,
            candidates_of(documents, ids, first_stage_scores, ranking),
            model=None if ranking is None else ranking.model,
        )

    def record_candidates(
        self, query: str, candidates: Iterable[Candidate], *, model: str | None = None
    ) -> None:
        """Record candidates in the first stage's order; they are only read for a sampled query.

        ``model`` is the name of the ranker, where there was one. A blank query isn't recorded.
        """
        try:
            if self.rate == 0 or not query.strip():
                return
            query_id = self.query_id(query)
            # The id is a hash, so its first half is a number below 2**64 by chance.
            if int(query_id[:16], 16) >= self.rate * 2**64:
                return
            self._lines.append(self._line(query_id, query, candidates, model))
        # The caller is answering somebody: a full disk is no reason not to.
        except Exception as error:
            self._count(error)
        else:
            self._count(None)

    def query_id(self, query: str) -> str:
        """The id under which a query is recorded: 32 hexadecimal digits.

        Raises ``OSError`` where the salt beside the file can't be read.
        """
        return self._hash(b"resift.query", query)

    def document_id(self, name: str) -> str:
        """The id under which a document is recorded. Raises ``OSError`` as ``query_id`` does."""
        return self._hash(b"resift.document", name) if self.hash_ids else encodable(name)

    def __repr__(self) -> str:
        return f"Recorder({str(self.path)!r}, rate={self.rate}, text={self.text})"

    def _line(
        self, query_id: str, query: str, candidates: Iterable[Candidate], model: str | None
    ) -> bytes:
        line = {
            "query_id": query_id,
            "query": encodable(query) if self.text else None,
            "candidates": [self._row(each) for each in candidates],
            "model": model,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        content = json.dumps(line, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return content.encode() + b"\n"

    def _row(self, candidate: Candidate) -> dict[str, Any]:
        text = candidate.text or ""
        return {
            "id": self._hash(b"resift.text", text)
            if candidate.id is None
            else self.document_id(candidate.id),
            "text": encodable(text) if self.text else None,
            "score": _number(candidate.score),
            "rank_score": _number(candidate.rank_score),
            "logit": _number(candidate.logit),
            "rank": candidate.rank,
        }

    def _hash(self, kind: bytes, given: str) -> str:
        if self._key is None:
            self._key = _key(salt_beside(self.path))
        content = encodable(given).encode()
        return blake2b(content, digest_size=16, key=self._key, person=kind).hexdigest()

    def _count(self, error: Exception | None) -> None:
        with self._lock:
            self._written += error is None
            self._failed += error is not None
            first = error is not None and self._failed == 1
        if first:
            # Not its message, which may have the query in it.
            reason = getattr(error, "strerror", None) or "no such thing can be recorded"
            _logger.warning(
                "A query wasn't recorded in %s: %s: %s. Further ones are only counted, in "
                "Recorder.failed",
                self.path,
                type(error).__name__,
                reason,
            )


def _number(given: Any) -> float | None:
    """A finite number as a ``float``; JSON has no others."""
    if not isinstance(given, Real) or isinstance(given, bool) or not math.isfinite(given):
        return None
    return float(given)


def _key(salt: str) -> bytes:
    return blake2b(salt.encode()).digest()


def _check_file(given: Any) -> Path:
    if given is None:
        raise InvalidRequestError("path must be the path of a file, not None")
    path = Path(check_path("path", given))
    if not path.name or path.is_dir() or not path.parent.is_dir():
        raise InvalidRequestError(
            f"path must be a file in a folder that exists, such as traffic.jsonl: {str(path)!r}"
        )
    return path


def _check_rate(given: Any) -> float:
    number = isinstance(given, Real) and not isinstance(given, bool)
    if not (number and 0 <= given <= 1):
        raise InvalidRequestError(
            f"rate must be a number from 0 to 1, the share of queries to record: {given!r}"
        )
    return float(given)


def _check_salt(given: Any) -> str:
    if not isinstance(given, str) or len(given) < _SALT_LENGTH:
        raise InvalidRequestError(
            f"salt must be a str of at least {_SALT_LENGTH} characters, or None to have one made; "
            f"not this {type(given).__name__}, which isn't shown"
        )
    return given
