"""What people write: FastAPI around sentence-transformers' CrossEncoder.

    python plain_server.py MODEL PORT THREADS KIND

``plain`` is an endpoint in FastAPI's pool of threads. ``queued`` has one forward pass at a time,
which spares the processors a fight of PyTorch's threads: the first thing that people then mend.
"""

from __future__ import annotations

import sys
import threading
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel


class Request(BaseModel):
    """A query and its documents."""

    query: str
    documents: list[str]


def app(model: Any, gate: AbstractContextManager[Any]) -> FastAPI:
    """The application."""
    made = FastAPI()

    def rerank(request: Request) -> dict[str, Any]:
        pairs = [(request.query, document) for document in request.documents]
        with gate:
            scores = model.predict(pairs, batch_size=32, show_progress_bar=False)
        ranked = sorted(enumerate(map(float, scores)), key=lambda each: -each[1])
        return {"results": [{"index": i, "relevance_score": score} for i, score in ranked]}

    async def health() -> dict[str, str]:
        return {"status": "ready"}

    # As decorators do; mypy has no types of these where FastAPI isn't installed.
    made.post("/rerank")(rerank)
    made.get("/health")(health)
    return made


def main(folder: str, port: str, threads: str, kind: str) -> None:
    """Load, warm up and serve."""
    import_module("torch").set_num_threads(int(threads))
    model = import_module("sentence_transformers").CrossEncoder(folder, device="cpu")
    model.predict([("a query", "a document")], show_progress_bar=False)
    gate = threading.Lock() if kind == "queued" else nullcontext()
    served = app(model, gate)
    import_module("uvicorn").run(served, host="127.0.0.1", port=int(port), access_log=False)


if __name__ == "__main__":
    main(*sys.argv[1:])
