"""A collector of spans on this machine, and what requests to an observed server carry."""

from __future__ import annotations

from dataclasses import dataclass, field

from opentelemetry.proto.trace.v1.trace_pb2 import Span

PARENT = "b7ad6b7169203331"
KEY = "key-sentinel-7f3a9c21"


@dataclass
class Collector:
    """An OpenTelemetry collector on this machine."""

    url: str = ""
    spans: list[Span] = field(default_factory=list)

    def of(self, trace: str) -> dict[str, Span]:
        return {each.name: each for each in self.spans if each.trace_id.hex() == trace}
