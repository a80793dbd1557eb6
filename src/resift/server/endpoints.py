"""The endpoints: what each route answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from resift import __version__
from resift.protocols import dumps
from resift.server.admission import Admission
from resift.server.answered import Answered
from resift.server.answering import json_response, unless_it_leaves
from resift.server.asked import deadline_of
from resift.server.health import Health
from resift.server.metrics import CONTENT_TYPE, Metrics
from resift.server.models import Models, Served
from resift.server.note import Note
from resift.server.openapi import document
from resift.server.reading import read_body
from resift.server.recording import Recording
from resift.server.refusals import RefusedError
from resift.server.service import Service
from resift.server.settings import Limits, Settings


@dataclass(frozen=True, slots=True)
class Endpoints:
    """The answers of one server."""

    settings: Settings
    limits: Limits
    models: Models
    service: Service
    admission: Admission
    health: Health
    metrics: Metrics
    recording: Recording

    async def rank(self, request: Request, note: Note) -> Response:
        """Rank, in the shape that the request has."""
        self.metrics.asked()
        deadline_ms = deadline_of(request.headers.get("x-resift-deadline-ms"))
        with self.admission.body() as take:
            raw = await read_body(
                request.receive,
                request.headers,
                take,
                limits=self.limits,
                settings=self.settings,
            )
            asked = await self.service.read(note.path, raw)
            del raw
            note.protocol = asked.shape.name
            note.facts |= {"queries": len(asked.request.queries), "documents": asked.pairs}
            if self.settings.log_queries:
                note.facts["query"] = [each.query[:1000] for each in asked.request.queries]
            work = self.service.rank(
                asked, key=note.key, deadline_ms=deadline_ms, request_id=note.request_id
            )
            answered, body = await unless_it_leaves(work, request.receive)
        self._note(answered, note)
        self.recording.record(asked.request.queries, answered.rankings)
        return json_response(body, headers=answered.headers())

    def _note(self, answered: Answered, note: Note) -> None:
        name = answered.served.name
        self.metrics.ranked(name, answered.rankings, note.seconds)
        counts = [each.counts for each in answered.rankings]
        timings = answered.rankings[0].timings
        errors = [each.error for each in answered.rankings if each.error]
        note.facts |= {
            "model": name,
            "status": answered.status,
            "tokens": sum(each.tokens for each in counts),
            "truncated": sum(each.truncated_documents for each in counts),
            "queue_milliseconds": round(timings.queue * 1000, 2),
            "infer_milliseconds": round(timings.infer * 1000, 2),
            "scorer_error": errors[0] if errors else None,
        }

    async def live(self, _request: Request, _note: Note) -> Response:
        """Whether the process answers at all."""
        self._check_alive()
        return json_response(dumps({"status": "live"}))

    def _check_alive(self) -> None:
        if not self.health.is_alive:
            raise RefusedError(
                503, "no pair gets an answer any more", kind="Unhealthy", reason="not_alive"
            )

    async def ready(self, _request: Request, _note: Note) -> Response:
        """Whether requests can be ranked."""
        state = await self.health.state()
        if not state.ready:
            raise RefusedError(
                503, state.reason, kind="Unhealthy", reason="not_ready", retry_after=1.0
            )
        # infinity's key, and a word for people.
        return json_response(dumps({"status": "ready", "unix": time.time()}))

    async def ready_without_content(self, request: Request, note: Note) -> Response:
        """The same for Weaviate."""
        await self.ready(request, note)
        return Response(status_code=204)

    async def live_without_content(self, _request: Request, _note: Note) -> Response:
        """Whether the process answers, for Weaviate."""
        self._check_alive()
        return Response(status_code=204)

    async def metrics_text(self, _request: Request, _note: Note) -> Response:
        """Prometheus metrics."""
        return Response(self.metrics.text(), media_type=CONTENT_TYPE)

    async def list_models(self, _request: Request, _note: Note) -> Response:
        """The models, as OpenAI's clients read them, and what they are."""
        data = [
            {
                "id": each.name,
                "object": "model",
                "created": 0,
                "owned_by": "resift",
                "aliases": list(each.aliases),
                "default": each.default,
                "loaded": each.loaded,
                "kind": each.kind,
            }
            for each in self.models.all
        ]
        return json_response(dumps({"object": "list", "data": data}))

    async def info(self, _request: Request, _note: Note) -> Response:
        """The server, as Text Embeddings Inference tells of itself."""
        return json_response(dumps(self._info(self.models.find(None))))

    def _info(self, served: Served) -> dict[str, Any]:
        source = served.source
        limits = self.limits
        return {
            "model_id": source.model,
            "model_sha": source.revision,
            "model_dtype": source.precision or "unknown",
            "served_model_name": served.name,
            "model_type": {"reranker": {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}},
            "max_concurrent_requests": limits.pairs,
            "max_input_length": served.max_length or 0,
            "max_batch_tokens": limits.tokens,
            "max_batch_requests": None,
            "max_client_batch_size": limits.documents,
            "auto_truncate": True,
            "tokenization_workers": self.settings.threads,
            "version": f"resift {__version__}",
            "sha": None,
            "docker_label": None,
        }

    async def meta(self, _request: Request, _note: Note) -> Response:
        """The model, for Weaviate."""
        served = self.models.find(None)
        return json_response(dumps({"model": {"name": served.name, "kind": served.kind}}))

    async def openapi(self, _request: Request, _note: Note) -> Response:
        """The server's description for machines."""
        return json_response(dumps(document(self.settings.url_prefix)))
