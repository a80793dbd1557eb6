"""Lets an example talk to a server that writes down what it is told, and answers as engines do."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from typing import Any

TOLD: dict[str, Any] = {}
INGESTED: list[str] = []
FOUND = {"hits": {"hits": [{"_id": "two"}, {"_id": "one"}]}}


class Engine(BaseHTTPRequestHandler):
    """Elasticsearch and OpenSearch, as far as these clients look at the answer."""

    def _answer(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        path = self.path.partition("?")[0]
        answer: dict[str, Any] = {"connector_id": "c", "model_id": "m", "acknowledged": True}
        if path.endswith("_bulk"):
            actions = [json.loads(line) for line in content.splitlines()[::2]]
            INGESTED.extend(each["index"]["_id"] for each in actions)
            items = [{"index": {"_id": each, "status": 201}} for each in INGESTED]
            answer = {"errors": False, "items": items}
        elif path.endswith("_search"):
            TOLD[path], answer = json.loads(content), FOUND
        elif content:
            TOLD[path] = json.loads(content)
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("X-Elastic-Product", "Elasticsearch")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _answer  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Engine)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    there = ("http://127.0.0.1:8080", "your-key")
    example = import_module(f"stores.{sys.argv[1]}")
    if sys.argv[1] == "elasticsearch":
        client = example.Elasticsearch(url)
        example.create_endpoint(client, *there)
    else:
        client = example.OpenSearch(url)
        example.create_pipeline(client, *there)
    example.ingest(client, {"one": "A passage."})
    found = example.search(client, "a question")
    sys.stdout.write(json.dumps({"told": TOLD, "ingested": INGESTED, "found": found}))


if __name__ == "__main__":
    main()
