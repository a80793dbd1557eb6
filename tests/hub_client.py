"""Processes that use a hub, each with the environment that a user would set.

The hub's client reads its environment when it is imported.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hub_server

DOCUMENTS = ["bad", "good", "a b"]
BEST = [1, 2, 0]
NEEDED = {"config.json", "tokenizer.json", "tokenizer_config.json", "model.onnx"}
UNNEEDED = {
    "README.md": b"# tiny",
    "pytorch_model.bin": b"weights",
    "model.safetensors": b"weights",
    "onnx/model_O4.onnx": b"graph",
    "onnx/model_quint8_avx2.onnx": b"graph",
    "openvino/openvino_model.bin": b"weights",
    "vocab.txt": b"a\nb",
}

# Ranks with each set of options in turn, and says what came of it and what went over the network.
_PROGRAM = """
import json, sys, time

network = []
sys.addaudithook(lambda event, _: network.append(event) if event in {
    "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"} else None)
# The client waits longer and longer between its attempts.
time.sleep = lambda seconds: None

from resift import Reranker, ResiftError

outcomes = []
for options in json.loads(sys.argv[1]):
    try:
        outcomes.append(Reranker(**options).rank("a", json.loads(sys.argv[2])).to_dict())
    except ResiftError as error:
        causes, cause = [], error.__cause__
        while cause is not None:
            causes.append([base.__name__ for base in type(cause).__mro__])
            cause = cause.__cause__
        outcomes.append(
            {"error": type(error).__name__, "message": str(error), "causes": causes})
    outcomes[-1]["network"], network = network, []
print(json.dumps(outcomes))
"""


class Client:
    """Processes that use a hub, all with the same cache."""

    def __init__(self, hub: hub_server.Hub, home: Path) -> None:
        self.hub = hub
        self.home = home
        self.cache = home / "cache"
        self.errors = ""
        self.processor: str | None = None
        """One of ``PROCESSORS``, where it isn't this machine's."""

    def rank(self, *options: Mapping[str, Any], **environment: str) -> list[dict[str, Any]]:
        """Rank ``DOCUMENTS`` with each ``Reranker(**options)``."""
        given = [{"cache_dir": str(self.cache), **each} for each in options]
        done = self.run("-c", _PROGRAM, json.dumps(given), json.dumps(DOCUMENTS), **environment)
        assert done.returncode == 0, done.stderr
        self.errors = done.stderr
        outcomes: list[dict[str, Any]] = json.loads(done.stdout)
        return outcomes

    def resift(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """The command line, with the same cache."""
        program = "import sys; from resift.cli.main import main; sys.exit(main())"
        return self.run("-c", program, *arguments, **environment)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Python, with the hub and the cache in its environment."""
        option, program, *rest = arguments
        assert option == "-c"
        if self.processor:
            program = f"import processors; processors.be({self.processor!r})\n{program}"
        return subprocess.run(
            [sys.executable, option, program, *rest],
            env=self.environment(**environment),
            capture_output=True,
            encoding="utf-8",
            timeout=120,
        )

    def environment(self, **changes: str) -> dict[str, str]:
        """The environment variables of one process."""
        return {
            **{k: v for k, v in os.environ.items() if not k.startswith(("HF_", "RESIFT_"))},
            "HF_ENDPOINT": self.hub.endpoint,
            "HF_HOME": str(self.home / "hf"),
            "HF_HUB_DOWNLOAD_TIMEOUT": "1",
            "HF_HUB_ETAG_TIMEOUT": "1",
            "NO_PROXY": "127.0.0.1,localhost",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ["PYTHONPATH"]]),
            "RESIFT_CACHE": str(self.cache),
            **changes,
        }


def order(outcome: Mapping[str, Any]) -> list[int]:
    """The documents' indices, best first."""
    assert "message" not in outcome, outcome["message"]
    return [result["index"] for result in outcome["results"]]
