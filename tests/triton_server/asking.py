"""Asks a Triton server by its own client: a job in JSON at standard input, answers in JSON.

A job has ``url``, ``clients``, how many ask at a time, and ``requests``, each with ``query`` and
``texts``, and maybe ``timeout``. A text ``"\\ud800"`` stands for bytes that aren't UTF-8.
"""

from __future__ import annotations

import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

job = json.load(sys.stdin)
own = threading.local()


def ask(request: dict[str, Any]) -> dict[str, Any]:
    """The answer to one request, or its error."""
    if not hasattr(own, "client"):
        own.client = triton.InferenceServerClient(job["url"], network_timeout=60)
    inputs = []
    for name, row in (("query", [request["query"]]), ("texts", request["texts"])):
        tensor = triton.InferInput(name, [1, len(row)], "BYTES")
        texts = [b"\xff" if text == "\ud800" else text.encode() for text in row]
        tensor.set_data_from_numpy(np.array([texts], dtype=object))
        inputs.append(tensor)
    try:
        answer = own.client.infer("resift", inputs, timeout=request.get("timeout"))
    except InferenceServerException as error:
        return {"status": error.status(), "error": error.message()}
    return {name: answer.as_numpy(name)[0].tolist() for name in ("scores", "logits")}


with ThreadPoolExecutor(job["clients"]) as pool:
    json.dump(list(pool.map(ask, job["requests"])), sys.stdout)
