"""Ray clusters of several nodes on this machine, on loopback, and models that wait to be let."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from packages import write_package

# About the smallest store of objects that Ray takes, in bytes.
_COMMON = {"object_store_memory": 80_000_000}
# Seconds that Ray waits for its own processes, which a busy machine takes long to start; no
# processes that nothing has asked for; and none behind all other work, as Ray has them (nice 15).
_PATIENT = {
    "RAY_worker_niceness": "0",
    "RAY_prestart_worker_first_driver": "0",
    "RAY_enable_worker_prestart": "0",
    "RAY_SERVE_PROXY_HEALTH_CHECK_TIMEOUT_S": "60",
    "RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S": "60",
}
_BACKEND = """
import os
import time
from pathlib import Path

from resift.backends.onnx import OnnxBackend

FOLDER = Path(os.environ["RESIFT_TEST_GATE"])


class GatedBackend(OnnxBackend):
    def __init__(self, path, **given):
        super().__init__(path, **given)
        said = f"{given['threads']} {os.environ.get('OMP_NUM_THREADS')}"
        (FOLDER / f"made-{os.getpid()}").write_text(said, encoding="utf-8")

    def forward(self, batch):
        with (FOLDER / "passes").open("a", encoding="utf-8") as file:
            file.write(f"{os.getpid()}\\n")
        while (FOLDER / "hold").exists():
            time.sleep(0.01)
        if (FOLDER / f"broken-{os.getpid()}").exists():
            raise RuntimeError("this model is broken")
        return super().forward(batch)
"""
_ENTRY = """
from resift.backends import BackendEntry

ENTRY = BackendEntry(
    "gated_backend", "GatedBackend", requires=["onnxruntime"], install="nothing", devices=["cpu"],
    formats=["onnx"], runs={each: [each] for each in ("fp32", "int8")},
)
"""


@dataclass(frozen=True)
class Gate:
    """The backend ``gated`` in all actors: ONNX Runtime's work, when it is let."""

    folder: Path

    @property
    def made(self) -> dict[int, str]:
        """The processes that loaded it, with its threads and those of OpenMP."""
        found = self.folder.glob("made-*")
        return {int(each.name[5:]): each.read_text(encoding="utf-8") for each in found}

    @property
    def passes(self) -> int:
        """Passes that were begun."""
        path = self.folder / "passes"
        return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let no pass end."""
        path = self.folder / "hold"
        path.touch()
        try:
            yield
        finally:
            path.unlink()

    def break_in(self, process: int) -> None:
        """Have every pass fail in a process."""
        (self.folder / f"broken-{process}").touch()


def gated(folder: Path) -> Gate:
    """Write the backend where children find it by ``PYTHONPATH``."""
    write_package(
        folder, "gated_entry", {"resift.backends": {"gated": "gated_entry:ENTRY"}}, _ENTRY
    )
    (folder / "gated_backend.py").write_text(_BACKEND, encoding="utf-8")
    (folder / "gate").mkdir()
    return Gate(folder / "gate")


@contextmanager
def cluster(*nodes: Mapping[str, Any], variables: Mapping[str, str] | None = None) -> Iterator[Any]:
    """A cluster of these nodes, the first one its head, and this process connected to it.

    ``variables`` are added to the environment of all that it starts.
    """
    import ray
    from ray._private import node
    from ray.cluster_utils import Cluster

    before = dict(os.environ)
    # Paths of sockets are short.
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    os.environ.update({**environment(Path(folder)), **(variables or {})})
    made = None
    try:
        made = Cluster()
        # Of other clusters, Ray tells its makers even that they are to be told nothing.
        with patch.object(node, "Node", partial(node.Node, ray_init_cluster=True)):
            made.add_node(**_COMMON, **nodes[0], include_dashboard=False, temp_dir=folder)
        for each in nodes[1:]:
            made.add_node(**_COMMON, **each)
        ray.init(address=made.address, log_to_driver=False)
        yield made
    finally:
        ray.shutdown()
        if made is not None:
            made.shutdown()
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def environment(home: Path) -> Mapping[str, str]:
    """The environment of a Ray that is patient, and asks nobody what it is."""
    # Or else it asks the clouds' addresses which of them it is on.
    (home / "ray_bootstrap_config.yaml").write_text("provider: {}\n", encoding="utf-8")
    return {"HOME": str(home), **_PATIENT}


def paths(*folders: Path) -> Mapping[str, str]:
    """``PYTHONPATH`` with these folders before what it has."""
    given: Sequence[str] = [*map(str, folders), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, given))}
