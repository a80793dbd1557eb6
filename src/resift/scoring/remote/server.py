"""A server over HTTP: connections, time-outs, retries, and errors without secrets."""

from __future__ import annotations

import logging
import math
import os
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from resift.errors import BackendUnavailableError, RemoteError, RemoteUnavailableError
from resift.once import Once
from resift.protocols import WireError, dumps, loads
from resift.redaction import shown
from resift.scoring.remote.address import Address
from resift.scoring.remote.asking import Patience, StoppedError
from resift.scoring.remote.breaker import Breaker
from resift.scoring.remote.secret import Secret
from resift.scoring.remote.settings import Settings

if TYPE_CHECKING:
    import httpx
    import tenacity

_logger = logging.getLogger(__name__)

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 8.0
"""Seconds: waits are random, up to the first, doubled from attempt to attempt, to the longest."""
_LONGEST_ADVICE = 60.0
"""Seconds: a ``Retry-After`` above this isn't waited for."""
_ABOUT = 2.0
"""Seconds for what a server tells about itself."""
_FAILURES, _PAUSE = 5, 30.0
"""Failures in a row that open the breaker, and for how many seconds."""
_LARGEST = 64 * 2**20
"""Bytes of an answer; a thousand documents' are a hundred kilobytes."""
_ADVICE = {
    401: "check key=",
    403: "check key=",
    404: "check url=, protocol= and model=",
    405: "check url= and protocol=",
    413: "give fewer or shorter documents, or lower limits=",
    415: "check url= and protocol=",
    422: "check url=, protocol= and model=, and the options of the call",
}


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    # A server may repeat the key, and tracebacks may come with their variables.
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class Server:
    """One server that speaks a protocol, shared by any number of threads.

    Each process has connections of its own. Raises ``BackendUnavailableError`` where the extra
    ``remote`` isn't installed.
    """

    def __init__(self, address: Address, secret: Secret, settings: Settings) -> None:
        missing = [name for name in ("httpx", "tenacity") if find_spec(name) is None]
        if missing:
            raise BackendUnavailableError(
                f"a remote model needs {' and '.join(missing)}, which isn't installed: "
                "pip install 'resift[remote]'"
            )
        self._address, self._secret, self._settings = address, secret, settings
        self._client = Once(self._connect)
        self._breaker = Once(lambda: Breaker(_FAILURES, _PAUSE, settings.clock.now))

    def _connect(self) -> httpx.Client:
        client = (self._settings.client or _client)()
        # Nobody closes a scorer.
        weakref.finalize(self, _close, client, os.getpid())
        return client

    def connect(self) -> None:
        """Make this process's client. No connection is opened yet."""
        self._client.get()

    def rank(self, body: Any, texts: Sequence[str], patience: Patience) -> Any:
        """Send a request; returns the answer's JSON.

        ``texts`` are what no message may repeat. Raises ``RemoteError``, its
        ``RemoteUnavailableError`` when all attempts are spent, and ``StoppedError``.
        """
        import tenacity

        content = dumps(body)
        breaker = self._breaker.get()
        left = breaker.wait()
        if left > 0:
            raise RemoteUnavailableError(
                f"{self._address.server} isn't asked for another {left:.0f} s, as its last "
                f"{_FAILURES} answers or more failed",
                server=self._address.server,
                retry_after=left,
            )
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda error: isinstance(error, RemoteUnavailableError) and not breaker.is_open
            ),
            wait=_wait(tenacity.wait_random_exponential(_FIRST_WAIT, _LONGEST_WAIT)),
            stop=lambda state: (
                state.attempt_number >= self._settings.attempts
                or not _is_worth(state.upcoming_sleep, patience)
            ),
            sleep=patience.sleep,
            before_sleep=_log,
            reraise=True,
        )
        return retrying(self._attempt, content, texts, patience)

    def about(self) -> Any:
        """The JSON that the server tells about itself. Raises as ``rank``, after one attempt."""
        patience = Patience.of(_ABOUT, self._settings.clock)
        try:
            answer = self._send("GET", self._address.about, None, patience)
        except StoppedError:
            late = f"{self._address.server} says nothing about itself within {_ABOUT} s"
            raise RemoteUnavailableError(late, server=self._address.server) from None
        return self._read(answer, ())

    def error(self, why: str, *, status: int | None = None) -> RemoteError:
        """An error that names the server."""
        server = self._address.server
        return RemoteError(f"{server} {why}", server=server, status=status)

    def _attempt(self, content: bytes, texts: Sequence[str], patience: Patience) -> Any:
        breaker = self._breaker.get()
        try:
            answer = self._send("POST", self._address.url, content, patience)
            if self._is_late(answer, patience):
                breaker.succeeded()
                raise StoppedError
            said = self._read(answer, texts)
        except RemoteUnavailableError as error:
            # Overloaded isn't broken.
            if error.status not in self._settings.shape.overloaded and breaker.failed():
                _logger.warning("%s failed too often: no request for %.0f s", error.server, _PAUSE)
            raise
        except RemoteError:
            breaker.succeeded()
            raise
        breaker.succeeded()
        return said

    def _is_late(self, answer: _Answer, patience: Patience) -> bool:
        """Whether the server gave up because the call's time was up, a moment before it is here."""
        if answer.status == 200 or math.isinf(patience.remaining()):
            return False
        shape = self._settings.shape
        return shape.is_late(shape.decode_failure(answer.status, answer.body))

    def _send(self, method: str, url: str, content: bytes | None, patience: Patience) -> _Answer:
        """Send one request, whatever the status of the answer."""
        import httpx

        timeout, now = self._settings.timeout, self._settings.clock.now
        seconds = patience.seconds(timeout)
        until = now() + seconds
        try:
            with self._client.get().stream(
                method,
                url,
                content=content,
                headers={"Content-Type": "application/json", **self._secret.header()},
                timeout=seconds,
                follow_redirects=False,
            ) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > _LARGEST or now() > until:
                        break
                else:
                    return _Answer(response.status_code, response.headers, bytes(body))
            broke = None
        except httpx.HTTPError as error:
            broke = error
        # Outside of the handler, as httpx's errors hold the request, and that the key.
        if broke is None and len(body) > _LARGEST:
            raise self.error(f"gave an answer of more than {_LARGEST} bytes")
        if broke is None or isinstance(broke, httpx.TimeoutException):
            if seconds < timeout:
                # The call's time is up, and not the server's.
                raise StoppedError
            why = f"gave no whole answer within {seconds:g} s"
        else:
            said = "" if self._hides(str(broke), ()) else f": {shown(broke)}"
            why = f"can't be reached, or broke off: {type(broke).__name__}{said}"
        # A traceback with its variables would have it.
        broke = None
        raise RemoteUnavailableError(f"{self._address.server} {why}", server=self._address.server)

    def _read(self, answer: _Answer, texts: Sequence[str]) -> Any:
        if answer.status != 200:
            raise self._refusal(answer, texts)
        try:
            return loads(answer.body)
        except WireError as error:
            why = f"gave an answer that can't be read: {error}; check url= and protocol="
        raise self.error(why, status=200)

    def _refusal(self, answer: _Answer, texts: Sequence[str]) -> RemoteError:
        status, server, shape = answer.status, self._address.server, self._settings.shape
        if 300 <= status < 400:
            return self.error(
                f"redirects (status {status}), which isn't followed, as the key would go along: "
                "give the address that it redirects to as url=",
                status=status,
            )
        failure = shape.decode_failure(status, answer.body)
        said = f"{failure.kind}: {failure.message}" if failure.kind else failure.message
        said = " ".join(said.split())[:300]
        if self._hides(said, texts):
            said = "its message isn't shown, as it repeats the request"
        why = f"answered with status {status}{': ' if said else ''}{said}"
        if status in shape.retried:
            after = _seconds(answer.headers.get("retry-after"))
            return RemoteUnavailableError(
                f"{server} {why}", server=server, status=status, retry_after=after
            )
        advice = _ADVICE.get(status, "asking again won't help")
        return self.error(f"{why}; {advice}", status=status)

    def _hides(self, said: str, texts: Sequence[str]) -> bool:
        """Whether a message has a part of the key or of a text.

        Of a text, 12 characters are a part, or the whole of a shorter one, from 4 characters on:
        fewer are in any message.
        """
        if self._secret.is_in(said):
            return True
        windows = {said[i : i + 12] for i in range(len(said) - 11)}
        return any(
            text in said if len(text) < 12 else any(part in text for part in windows)
            for text in map(str.strip, texts)
            if len(text) >= 4
        )


def _close(client: httpx.Client, pid: int) -> None:
    # In a child of fork, a thread that isn't there may hold its locks.
    if os.getpid() == pid:
        client.close()


def _client() -> httpx.Client:
    import httpx

    # As many connections as there are callers: the server says when they are too many.
    return httpx.Client(limits=httpx.Limits(max_connections=None, max_keepalive_connections=32))


def _wait(jitter: Callable[[Any], float]) -> Callable[[tenacity.RetryCallState], float]:
    """The seconds that the server advises, and a random time beyond them."""

    def wait(state: tenacity.RetryCallState) -> float:
        error = state.outcome and state.outcome.exception()
        advised = getattr(error, "retry_after", None) or 0.0
        return float(advised) + jitter(state)

    return wait


def _is_worth(seconds: float, patience: Patience) -> bool:
    return seconds <= _LONGEST_ADVICE + _LONGEST_WAIT and patience.has(seconds)


def _log(state: tenacity.RetryCallState) -> None:
    error = state.outcome and state.outcome.exception()
    _logger.info("%s; asked again in %.2f s", error, state.upcoming_sleep)


def _seconds(advice: str | None) -> float | None:
    """The seconds of a ``Retry-After``, which may be a date."""
    if advice is None:
        return None
    try:
        return min(max(float(advice), 0.0), 1e6) if advice.strip().isdigit() else _until(advice)
    except (ValueError, OverflowError):
        return None


def _until(date: str) -> float:
    when = parsedate_to_datetime(date)
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max((when - datetime.now(UTC)).total_seconds(), 0.0)
