"""Answers of a server to probes, as they are: nothing is put in order or left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from resift.compare.pairs import Probe
from resift.errors import RemoteError, RemoteUnavailableError, ResiftError
from resift.protocols import WireError, WireQuery, WireRequest, WireResult, WireScore
from resift.scales import LOGIT, ORDER
from resift.scoring.remote.address import Address
from resift.scoring.remote.asking import Clock, Patience
from resift.scoring.remote.secret import Key, Secret
from resift.scoring.remote.server import Server
from resift.scoring.remote.settings import Settings

MOST_REQUESTS = 25

Failed = Literal["unavailable", "refused", "unreadable"]
_BUSY = (408, 429, 503)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A server's answer, or why there is none."""

    scores: tuple[WireScore, ...] = ()
    """In the order of the answer."""
    model: str | None = None
    failed: Failed | None = None
    status: int | None = None
    why: str = ""


class Asker:
    """Asks one server, each probe once, ``MOST_REQUESTS`` times at most."""

    def __init__(
        self, url: str, *, protocol: str, model: str | None, key: Key, timeout: float
    ) -> None:
        self._settings = Settings(protocol=protocol, model=model, timeout=timeout, attempts=1)
        self.shape = self._settings.shape
        self.address = Address.of(url, self.shape.path)
        self._server = Server(self.address, Secret(key), self._settings)
        self.requests = 0

    @property
    def gives_logits(self) -> bool:
        """Whether the protocol has a word that asks for logits."""
        return self.shape.scale == LOGIT and "normalization" in self.shape.speaks

    def ask(self, probe: Probe) -> Answer:
        """Send a probe. What goes wrong is part of the answer."""
        if self.requests >= MOST_REQUESTS:
            return Answer(failed="unavailable", why=f"{MOST_REQUESTS} requests were sent already")
        self.requests += 1
        query = WireQuery(query=probe.query, documents=probe.documents)
        try:
            body = self.shape.encode_request(self._request(probe, query))
            patience = Patience.of(2 * self._settings.timeout, Clock())
            said = self._server.rank(body, [probe.query, *probe.documents], patience)
            result = self._read(said, query)
        except WireError as error:
            return Answer(failed="unreadable", status=200, why=str(error))
        except RemoteError as error:
            return Answer(failed=_kind(error), status=error.status, why=str(error))
        return Answer(scores=result.scores, model=result.model)

    def _request(self, probe: Probe, query: WireQuery) -> WireRequest:
        speaks = self.shape.speaks
        return WireRequest(
            queries=(query,),
            model=self._settings.model if "model" in speaks else None,
            # Beyond this, as Remote asks.
            normalization="none" if self.gives_logits and not probe.plain else None,
            truncate=True if "truncate" in speaks else None,
            top_n=probe.top_n,
        )

    def _read(self, said: object, query: WireQuery) -> WireResult:
        # An order is a permutation of what was sent. Elsewhere no document is known here, so that
        # one in a wrong place is seen and not refused.
        known = query if self.shape.scale == ORDER else WireQuery(query="", documents=())
        return self.shape.decode_response(said, WireRequest(queries=(known,))).result


def _kind(error: ResiftError) -> Failed:
    """Sort a failure: one that says nothing about what was asked is "unavailable"."""
    status = getattr(error, "status", None)
    if status == 200:
        return "unreadable"
    if isinstance(error, RemoteUnavailableError) and (status is None or status in _BUSY):
        return "unavailable"
    return "refused"
