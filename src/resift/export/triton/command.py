"""A model's repository for Triton: texts in and scores out, and the bare graph beside it."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Any

from resift import Reranker, __version__
from resift.backends.onnx import open_session
from resift.checks import check_positive_int
from resift.errors import (
    BackendUnavailableError,
    InvalidRequestError,
    ModelNotFoundError,
    OfflineError,
    UnsupportedModelError,
)
from resift.export.command import export
from resift.export.libraries import Libraries
from resift.export.triton.config import (
    GRAPH,
    MAX_DOCUMENTS,
    TEXTS,
    Tensor,
    graph_config,
    texts_config,
)
from resift.loading.finding import find_files
from resift.models.card import Artifact
from resift.models.find import find_source
from resift.models.folder import ModelFiles, read_files
from resift.models.onnx_file import read_graph
from resift.models.store.paths import read_json
from resift.models.store.upkeep import bundle
from resift.options import LoadOptions
from resift.packaging.licence import texts_beside
from resift.precision import NARROW_INT8

_logger = logging.getLogger(__name__)
_HERE = Path(__file__).parent
_CHECKPOINTS = ("safetensors", "late_interaction")


@dataclass(frozen=True, slots=True)
class TritonRepository:
    """A repository that was written."""

    folder: Path
    model: str
    """The name of the model in it."""
    revision: str | None
    graph: str | None
    """The precision of the bare graph; ``None`` where the model has none."""


def export_triton(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    precision: str | None = None,
    threads: int | None = None,
    gpu: bool = False,
) -> TritonRepository:
    """Write a model repository for NVIDIA's Triton Inference Server to the new folder ``out``.

    ``model`` is what ``Reranker`` takes. Where it is there as ONNX, no extra is needed; otherwise
    it is exported first, as ``export`` does for any processor, or with ``gpu`` taken as it is.
    ``precision`` and ``threads`` are ``Reranker``'s; ``None`` leaves them to the server's machine.
    ``gpu`` runs it by the backend ``torch`` on GPUs, from a checkpoint. The same model gives the
    same bytes. ``out`` appears whole or not at all.

    Raises ``InvalidRequestError`` for an invalid argument and a folder that isn't empty,
    ``ModelError`` for a model that is missing, damaged, or fails its self-test, and
    ``BackendUnavailableError`` where it can't be run or exported here.
    """
    check_positive_int("threads", threads, "None for the CPUs of the server")
    final = Path(out)
    if final.exists() and not (final.is_dir() and not any(final.iterdir())):
        raise InvalidRequestError(f"{final} exists already; expected a new or an empty folder")
    final.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{final.name}-", dir=final.parent) as parent:
        files = _find(model, precision, Path(parent, "exported"), gpu=gpu)
        folder = Path(parent, "repository")
        staged = _write_texts(files, folder / TEXTS, precision, threads, gpu=gpu)
        graph = _graph_of(staged, precision)
        if graph is not None:
            _write_graph(staged, graph, folder / GRAPH, threads, gpu=gpu)
        for each in folder.iterdir():
            _copy_licence(files, each)
        kind = None if graph is None else graph.precision
        written = TritonRepository(final, _name(staged), staged.revision, kind)
        _write_readme(staged, written, folder / "README.md", precision, gpu=gpu)
        if final.exists():
            final.rmdir()
        folder.rename(final)
    return written


def _find(
    model: str | os.PathLike[str], precision: str | None, exported: Path, *, gpu: bool
) -> ModelFiles:
    """The model's files: as they are found, or exported."""
    # Raises for a name that nobody knows.
    find_source(model)
    formats = _CHECKPOINTS if gpu else ("onnx",)
    try:
        files = find_files(LoadOptions(model=model), ["torch" if gpu else "onnx"])
    except OfflineError:
        raise
    except (ModelNotFoundError, BackendUnavailableError) as error:
        why = str(error)
    else:
        if any(each.format in formats for each in files.artifacts):
            return files
        why = f"{files.folder} has no weights as {' or '.join(formats)}"
    if gpu:
        raise UnsupportedModelError(
            f"{why}; expected a checkpoint, which the backend 'torch' runs on GPUs: leave --gpu "
            "out, or give the model that was exported"
        )
    try:
        Libraries.load()
    except BackendUnavailableError as error:
        raise BackendUnavailableError(f"{why}; and {error}") from error
    _logger.info("%s; it is exported first", why)
    export(model, exported, precision or "fp32", target="any")
    return read_files(os.fspath(model), exported)


def _write_texts(
    files: ModelFiles, folder: Path, precision: str | None, threads: int | None, *, gpu: bool
) -> ModelFiles:
    """Write the model that takes texts; returns the files in it, which passed their self-test."""
    version = folder / "1"
    version.mkdir(parents=True)
    bundle(files, version / "model")
    shutil.copyfile(_HERE / "model.py", version / "model.py")
    options = {
        "precision": precision,
        "threads": None if threads is None else str(threads),
        "max_documents": str(MAX_DOCUMENTS),
    }
    staged = read_files(files.name, version / "model", files.revision, files.listing)
    said = {"model": _name(staged), "revision": staged.revision, **options}
    given = {name: value for name, value in said.items() if value is not None}
    _write(folder / "config.pbtxt", texts_config(given, gpu=gpu))
    try:
        Reranker(staged.folder, offline=True, precision=precision).warm_up()
    except BackendUnavailableError as error:
        if not gpu:
            raise
        _logger.warning("not tested, as nothing here runs it: %s", error)
    return staged


def _graph_of(files: ModelFiles, precision: str | None) -> Artifact | None:
    """The weights for the bare graph: in float32, or in the int8 that is exact everywhere."""
    graphs = [each for each in files.artifacts if each.format == "onnx"]
    wanted = (NARROW_INT8, "int8") if precision == "int8" else ("fp32",)
    found = [each for kind in wanted for each in graphs if each.precision == kind]
    return next(iter([*found, *graphs]), None)


def _write_graph(
    files: ModelFiles, graph: Artifact, folder: Path, threads: int | None, *, gpu: bool
) -> None:
    source = files.path(graph)
    version = folder / "1"
    version.mkdir(parents=True)
    shutil.copyfile(source, version / "model.onnx")
    facts = read_graph(source)
    for name in facts.data_files:
        # As the graph refers to it.
        shutil.copyfile(source.parent / name, version / name)
    session = open_session(source)
    inputs, outputs = (
        [Tensor(each.name, each.type, each.shape) for each in nodes]
        for nodes in (session.get_inputs(), session.get_outputs())
    )
    config = graph_config(inputs, outputs, together=not facts.mixes_rows, threads=threads, gpu=gpu)
    _write(folder / "config.pbtxt", config)


def _copy_licence(files: ModelFiles, folder: Path) -> None:
    """Copy the model's licence, and its card, which names it."""
    card = files.folder / "card.json"
    for path in (*texts_beside(files.folder).values(), *([card] if card.is_file() else [])):
        shutil.copyfile(path, folder / path.name)


def _write_readme(
    files: ModelFiles, written: TritonRepository, path: Path, precision: str | None, *, gpu: bool
) -> None:
    licence = _card(files).get("license")
    parts = ["readme.md", *(["readme_graph.md"] if written.graph else [])]
    text = "\n".join((_HERE / each).read_text(encoding="utf-8") for each in parts)
    words = {
        "model": written.model,
        "revision": f", revision {written.revision}" if written.revision else "",
        "licence": f"Its licence is {licence}" if licence else "Its card names no licence",
        "version": __version__,
        "documents": str(MAX_DOCUMENTS),
        "extra": "[torch]" if gpu else "[openvino]" if precision == "bf16" else "",
        "docker": "--gpus all " if gpu else "",
        "graph": written.graph or "",
    }
    _write(path, Template(text).substitute(words))


def _card(files: ModelFiles) -> dict[str, Any]:
    """The model's own card; empty where it has none."""
    path = files.folder / "card.json"
    return read_json(path) if path.is_file() else {}


def _name(files: ModelFiles) -> str:
    # Where a folder is on somebody's disk says nothing.
    path = Path(files.name)
    return str(_card(files).get("name") or (path.resolve().name if path.is_dir() else path))


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
