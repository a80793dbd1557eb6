"""``Remote``: a model behind a server, as a scorer."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from resift.call import Call
from resift.errors import RemoteError, RemoteUnavailableError
from resift.once import Once
from resift.protocols import About, Limits, Shape, WireError, WireQuery
from resift.redaction import shown
from resift.request import Request
from resift.scoring.remote.address import Address
from resift.scoring.remote.asking import Clock, run_all
from resift.scoring.remote.collecting import collect
from resift.scoring.remote.exchange import Exchange
from resift.scoring.remote.secret import Key, Secret
from resift.scoring.remote.server import Server
from resift.scoring.remote.settings import Settings
from resift.scoring.scorer import Scored, Source

if TYPE_CHECKING:
    import httpx

_logger = logging.getLogger(__name__)


class Remote:
    """A model behind a server, for ``Reranker(scorer=Remote(…))``.

    ``url``: the server's address; the route is added where it isn't there. ``protocol``: a name of
    ``resift.protocols.PROTOCOLS``, or a ``Shape`` of your own. ``model``: the model's name, which
    some protocols need. ``key``: a ``str``, or a function that returns one, called before each
    request; nothing shows it, and a pickle doesn't have it.

    ``scale``: the scale of the server's scores, where it isn't the protocol's: ``"logit"``, or a
    name of your own for any other. ``limits``: what the server takes at a time, where that isn't
    the protocol's; longer requests are split. ``timeout``: seconds of one attempt. ``attempts``:
    how often a request is sent at most. ``concurrency``: requests of one call at a time.
    ``window`` and ``step``: documents that a language model sees at a time, and by how many the
    window moves. ``extra``: more keys of a request's body. ``client``: a function that returns the
    ``httpx.Client`` of a process, for certificates and proxies. ``clock``: time, for tests.

    One instance may be shared by any number of threads, and survives a ``fork``. Raises
    ``InvalidRequestError`` for an invalid option, and ``BackendUnavailableError`` without the extra
    ``remote``.
    """

    def __init__(
        self,
        url: str,
        *,
        protocol: str | Shape,
        model: str | None = None,
        key: Key = None,
        scale: str | None = None,
        limits: Limits | None = None,
        timeout: float = 10.0,
        attempts: int = 3,
        concurrency: int = 4,
        window: int = 20,
        step: int = 10,
        extra: Mapping[str, Any] | None = None,
        client: Callable[[], httpx.Client] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._url = url
        self._settings = settings = Settings(
            protocol=protocol,
            model=model,
            scale=scale,
            limits=limits,
            timeout=timeout,
            attempts=attempts,
            concurrency=concurrency,
            window=window,
            step=step,
            extra=dict(extra or {}),
            client=client,
            clock=clock or Clock(),
        )
        shape = settings.shape
        address = Address.of(url, shape.path, shape.about_path, model=model)
        self._server = Server(address, Secret(key), settings)
        self._source = Source(
            model=model or address.server,
            backend=shape.name,
            device=address.server,
            scale=scale or shape.scale,
        )
        self._about: Once[About | None] = Once(self._ask_about)

    @property
    def source(self) -> Source:
        """The origin of its scores, as far as it is known before the server is asked."""
        return self._source

    def warm_up(self, call: Call) -> None:
        """Make the client, and ask the server about itself where it tells."""
        self._server.connect()
        self._facts(call)

    def score(self, requests: Sequence[Request], call: Call) -> list[Scored]:
        """Have the server score every text, in as many requests as that takes.

        What isn't answered in time is ``late``. Raises ``RemoteError``, and
        ``InvalidRequestError`` for an option that the protocol has no words for, and for more
        documents than a listwise model takes at once.
        """
        with call.watch.phase("infer"):
            facts = self._facts(call)
            exchange = self._exchange(facts, requests, call)
            # Before anything is sent, for options that can't be said.
            exchange.body((WireQuery(query="", documents=("",)),))
            plan = exchange.plan()
            done = run_all(
                [exchange.job(parts) for parts in plan],
                call,
                pairs=sum(exchange.pairs(part) for parts in plan for part in parts),
                at_a_time=self._settings.concurrency,
                clock=self._settings.clock,
            )
        answered = zip(plan, done, strict=True)
        late = [part for parts, found in answered if found is None for part in parts]
        pieces = [each for found in done for each in found or ()]
        return collect(requests, pieces, exchange.source, late)

    def _exchange(self, facts: About | None, requests: Sequence[Request], call: Call) -> Exchange:
        source, limits = self._source, self._settings.shape.limits
        if facts is not None:
            limits = facts.limits
            source = replace(
                source,
                model=self._settings.model or facts.model or source.model,
                revision=facts.revision,
                precision=facts.precision,
            )
        return Exchange(
            server=self._server,
            settings=self._settings,
            limits=self._settings.limits or limits,
            options=call.options,
            source=source,
            requests=requests,
        )

    def _facts(self, call: Call) -> About | None:
        """The facts that the server tells about itself; ``None`` where it doesn't, or not now."""
        if self._settings.shape.about_path is None:
            return None
        if call.deadline is not None and not self._about.is_made:
            # A call with a deadline has no time for it.
            return None
        try:
            return self._about.get()
        except RemoteUnavailableError as error:
            _logger.info("%s; the protocol's own limits are kept", error)
            return None

    def _ask_about(self) -> About | None:
        try:
            return self._settings.shape.decode_about(self._server.about())
        except RemoteUnavailableError:
            raise
        except (RemoteError, WireError) as error:
            _logger.info("%s says nothing about itself: %s", self._source.device, error)
            return None

    # Immutable to callers, and a copy by way of a pickle would lose the key.
    def __copy__(self) -> Remote:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Remote:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Remote, self._url, **self._settings.given()), ()

    def __repr__(self) -> str:
        given = self._settings.given()
        if "extra" in given:
            # Some servers have a key of theirs there.
            given["extra"] = sorted(given["extra"])
        words = [repr(shown(self._url)), *(f"{k}={v!r}" for k, v in given.items())]
        return f"Remote({', '.join(words)})"
