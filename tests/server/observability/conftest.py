"""A server whose spans are collected, with models that answer, fail and repeat what they get."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import tiny_models
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from server.observability.observed import KEY, Collector
from server.served import Served, serve


def listen(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    found.spans += scope.spans
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = listen(Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def echo() -> Iterator[str]:
    """A server that refuses whatever it gets, and repeats it in its error."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(422)
            self.end_headers()
            self.wfile.write(json.dumps({"error": body.decode(), "detail": "no"}).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = listen(Handler)
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def served(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector, echo: str
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    tiny_models.build(folder / "tiny")
    (folder / "keys").write_text(f"shop={KEY}\n", encoding="utf-8")
    config = f"""
[server]
keys_file = {json.dumps(str(folder / "keys"))}
otlp_endpoint = "{collector.url}"
[limits]
document_characters = 1000
[models.tiny]
model = {json.dumps(str(folder / "tiny"))}
preload = true
[models.twice]
cached = "tiny"
[models.echo]
remote = "{echo}"
protocol = "tei"
attempts = 1
[models.instead]
fallback = ["echo", "tiny"]
"""
    (folder / "resift.toml").write_text(config, encoding="utf-8")
    fast = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
    with serve("--config", str(folder / "resift.toml"), **fast) as running:
        running.http.headers["Authorization"] = f"Bearer {KEY}"
        yield running
