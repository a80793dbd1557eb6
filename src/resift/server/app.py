"""The server as an ASGI application: its parts put together, and its routes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp

from resift.protocols.routes import ROUTES, shape_of_path
from resift.scoring import Pool, Scorer
from resift.server.admission import Admission
from resift.server.answering import Answering, Endpoint, failure_response
from resift.server.config import Config
from resift.server.endpoints import Endpoints
from resift.server.health import Health
from resift.server.keys import Keys
from resift.server.metrics import Metrics
from resift.server.models import Models
from resift.server.observed import Observed
from resift.server.pages import show_file, show_page
from resift.server.recording import Recording, recorder_of
from resift.server.refusals import RefusedError
from resift.server.service import Service
from resift.server.tracing import Tracer


@dataclass(frozen=True, slots=True)
class Server:
    """A server that isn't listening yet: ``app`` is the ASGI application, the rest its parts."""

    app: ASGIApp
    health: Health
    admission: Admission
    keys: Keys
    config: Config
    models: Models
    own: Health
    """The health of this process alone: of models elsewhere, it asks nothing."""

    @classmethod
    def of(cls, config: Config, scorers: Mapping[str, Scorer] | None = None) -> Server:
        """Put a server together; no model is loaded before it starts.

        ``scorers`` are taken in place of those of the models of these names. Raises
        ``InvalidRequestError`` for keys that are missing or can't be read, and for a recording that
        can't be made.
        """
        settings, limits = config.settings, config.limits
        keys, tracer, admission = Keys.of(settings), Tracer(), Admission(limits)
        metrics: Metrics
        pool = Pool(
            max_queue_pairs=limits.max_queue_pairs,
            max_queue_tokens=limits.max_queue_tokens,
            on_pass=lambda pairs, tokens: metrics.pass_begins(pairs, tokens),
        )
        models = Models(config, pool, scorers)
        metrics = Metrics(
            lambda: pool.waiting,
            {
                "requests_in_work": ("Requests in work", lambda: admission.requests),
                "pairs_in_work": ("Pairs of requests in work", lambda: admission.pairs),
                "body_bytes": ("Bytes of bodies in work", lambda: admission.body_bytes),
                "models_loaded": ("Models in memory", lambda: sum(x.loaded for x in models.all)),
            },
        )
        wanted = [each for each in models.all if each.default or each.entry.preload]
        health = Health({x.name: x.reranker for x in wanted}, done=lambda: admission.done)
        here = {name: models.find(name).reranker for each in wanted for name in each.needs}
        own = Health(here, done=lambda: admission.done)
        service = Service(models, limits, admission, tracer)
        recording = Recording(recorder_of(config.record), metrics.recorded)
        endpoints = Endpoints(
            settings, limits, models, service, admission, health, metrics, recording
        )
        answering = Answering(keys, health, metrics, settings.url_prefix)
        starlette = Starlette(
            routes=_routes(endpoints, answering, settings.url_prefix),
            exception_handlers={HTTPException: _http_error},
            lifespan=_lifespan(health, recording),
        )
        app = Observed(starlette, metrics=metrics, tracer=tracer, draining=lambda: health.draining)
        return cls(app, health, admission, keys, config, models, own)

    async def load(self) -> None:
        """Load what has to be ready, of this process alone. Raises what the models raise."""
        for name in self.own.names:
            await asyncio.to_thread(self.models.find(name).preload)


def create_app(config: Config) -> ASGIApp:
    """An ASGI application for any server of such; see ``Server``."""
    return Server.of(config).app


@dataclass(frozen=True, slots=True)
class _Path:
    path: str
    method: str
    endpoint: Endpoint
    is_open: bool = False
    """Whether it needs no key."""


def _paths(endpoints: Endpoints) -> Sequence[_Path]:
    settings = endpoints.settings
    found = [_Path(path, "POST", endpoints.rank) for path in ROUTES]
    found += [
        _Path("/health", "GET", endpoints.ready, is_open=True),
        _Path("/health/live", "GET", endpoints.live, is_open=True),
        _Path("/health/ready", "GET", endpoints.ready, is_open=True),
        _Path("/ping", "GET", endpoints.ready, is_open=True),
        _Path("/.well-known/live", "GET", endpoints.live_without_content, is_open=True),
        _Path("/.well-known/ready", "GET", endpoints.ready_without_content, is_open=True),
        _Path("/metrics", "GET", endpoints.metrics_text, is_open=settings.open_metrics),
        _Path("/v1/models", "GET", endpoints.list_models),
        _Path("/models", "GET", endpoints.list_models),
        _Path("/info", "GET", endpoints.info),
        _Path("/tei/info", "GET", endpoints.info),
        _Path("/meta", "GET", endpoints.meta),
        _Path("/openapi.json", "GET", endpoints.openapi),
    ]
    if settings.page:
        # It has no data, and asks for the key.
        found += [
            _Path("/", "GET", show_page, is_open=True),
            _Path("/page/{name}", "GET", show_file, is_open=True),
        ]
    return found


def _routes(endpoints: Endpoints, answering: Answering, prefix: str) -> list[Route]:
    found = []
    for each in _paths(endpoints):
        wrap = answering.open if each.is_open else answering.guarded
        endpoint = wrap(each.path, each.endpoint)
        found.append(Route(prefix + each.path, endpoint, methods=[each.method]))
    return found


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = {
        404: f"there is no {request.url.path} here; POST /rerank, /v1/rerank, /v2/rerank, /score "
        "or /v1/rank, or GET /openapi.json for all",
        405: f"{request.url.path} doesn't take {request.method}",
    }
    refused = RefusedError(
        error.status_code, said.get(error.status_code, error.detail), reason="not_found"
    )
    response = failure_response(refused, shape_of_path(request.url.path))
    # Which methods there are.
    response.headers.update(error.headers or {})
    return response


def _lifespan(
    health: Health, recording: Recording
) -> Callable[[Starlette], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        # It listens meanwhile.
        health.start()
        try:
            yield
        finally:
            await health.close()
            await asyncio.to_thread(recording.close)

    return lifespan
