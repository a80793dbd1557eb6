"""OpenTelemetry spans of requests and their phases; nothing where it isn't installed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from resift import __version__
from resift.errors import BackendUnavailableError

_NAME = "resift.server"


class Tracer:
    """Makes spans with the provider of the process, or with none."""

    def __init__(self) -> None:
        try:
            from opentelemetry import propagate, trace
        except ImportError:
            self._trace: Any = None
        else:
            self._trace, self._propagate = trace, propagate
            self._tracer = trace.get_tracer(_NAME, __version__)

    @contextmanager
    def request(self, name: str, headers: Mapping[str, str]) -> Iterator[Span]:
        """A server's span, whose parent is the one that the request names in its headers."""
        if self._trace is None:
            yield Span(None)
            return
        parent = self._propagate.extract(dict(headers))
        kind = self._trace.SpanKind.SERVER
        with self._tracer.start_as_current_span(name, parent, kind) as span:
            yield Span(span)

    def phase(self, name: str) -> AbstractContextManager[object]:
        """A span of a part of the work, in the current one."""
        if self._trace is None:
            return nullcontext()
        found: AbstractContextManager[object] = self._tracer.start_as_current_span(name)
        return found


class Span:
    """A span, or what stands in for it."""

    def __init__(self, span: Any) -> None:
        self._span = span

    @property
    def trace_id(self) -> str | None:
        """The trace's number in hexadecimal; ``None`` where nothing is traced."""
        context = self._span.get_span_context() if self._span is not None else None
        return f"{context.trace_id:032x}" if context is not None and context.is_valid else None

    def set(self, **attributes: Any) -> None:
        """Add attributes, without those that are ``None``; dots for double underscores."""
        if self._span is None:
            return
        for name, value in attributes.items():
            if value is not None:
                self._span.set_attribute(name.replace("__", "."), value)

    def fail(self, message: str) -> None:
        """Mark it as failed."""
        if self._span is not None:
            from opentelemetry.trace import Status, StatusCode

            self._span.set_status(Status(StatusCode.ERROR, message))


def export_to(
    endpoint: str | None, environment: Mapping[str, str] = os.environ
) -> Callable[[], None]:
    """Send the process's spans to a collector, if there is one; returns how to send the last.

    Raises ``BackendUnavailableError`` where ``endpoint`` is given and OpenTelemetry isn't there.
    """
    named = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT")
    if endpoint is None and not named:
        return lambda: None
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        if endpoint is None:
            # Set for other programs on this machine.
            return lambda: None
        raise BackendUnavailableError(
            f"otlp_endpoint={endpoint!r} needs OpenTelemetry: pip install 'resift[tracing]'"
        ) from error
    resource = Resource.create({"service.name": environment.get("OTEL_SERVICE_NAME", "resift")})
    provider = TracerProvider(resource=resource)
    # An endpoint of its own is the whole address; the environment's gets the path by itself.
    address = None if endpoint is None else endpoint.rstrip("/") + "/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address)))
    trace.set_tracer_provider(provider)
    return provider.shutdown
