"""``resift serve --ray``: Ray is started with it, and ends with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("ray")

from clusters import environment
from ports import free_port
from server.running import PATIENCE, until

from resift import Reranker

pytestmark = pytest.mark.slow

START = "import sys; from resift.cli.main import main; sys.exit(main())"
DOCUMENTS = ["Bread rises.", "Use sorted with a key."]


@pytest.fixture
def home() -> Iterator[Path]:
    """A folder with a short path, for Ray's sockets."""
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def processes_in(folder: Path) -> list[str]:
    """The processes that say that they work there."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            said = each.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(folder) in said:
            found.append(said)
    return found


def test_it_serves_until_it_is_told_to_end(home: Path) -> None:
    port = free_port()
    file = home / "resift.toml"
    file.write_text(
        f'[server]\nport = {port}\nurl_prefix = "/rerankers"\n'
        '[models.nano]\nmodel = "resift-nano"\n[ray]\nnum_cpus = 1\n',
        encoding="utf-8",
    )
    command = [sys.executable, "-c", START, "serve", "--config", str(file), "--ray"]
    variables = {**os.environ, **environment(home), "RAY_TMPDIR": str(home)}
    running = subprocess.Popen(command, stderr=subprocess.PIPE, encoding="utf-8", env=variables)
    assert running.stderr is not None
    address = f"http://127.0.0.1:{port}/rerankers"
    try:
        line = next(line for line in running.stderr if line.startswith("running on"))
        assert line.strip() == f"running on {address}"
        with httpx.Client(timeout=PATIENCE) as client:
            asked = {"query": "sort a dictionary", "documents": DOCUMENTS}
            answer = client.post(f"{address}/v1/rerank", json=asked)
            wrong = client.post(f"{address}/vllm/rerank", json={})
        found = [(each["index"], each["relevance_score"]) for each in answer.json()["results"]]
        expected = Reranker("resift-nano").rank("sort a dictionary", DOCUMENTS)
        assert found == [(each.index, each.score) for each in expected]
        # In the shape of a path below the prefix.
        assert wrong.status_code == 422
        assert isinstance(wrong.json()["error"], dict)
        running.send_signal(signal.SIGTERM)
        running.communicate(timeout=PATIENCE)
        assert running.returncode == 0
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGTERM)
            running.communicate(timeout=PATIENCE)
    until(lambda: processes_in(home) == [])
