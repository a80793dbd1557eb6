"""The card and the golden pairs of a model: made where it has none, and tested."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from resift import __version__
from resift.backends.choice import first_able
from resift.errors import BackendUnavailableError, SelfTestError, UnsupportedModelError
from resift.loading.model import LoadedModel
from resift.loading.opening import Opener
from resift.loading.plan import plan_of
from resift.loading.selftest import check_golden, logit_of
from resift.models.card import SCHEMA, Artifact, Card
from resift.models.folder import ModelFiles
from resift.models.onnx_file import read_graph
from resift.models.packages import find_packaged
from resift.models.store.manifest import sha256
from resift.models.store.paths import read_json
from resift.options import DEFAULT_BACKEND, LoadOptions

T = TypeVar("T")

# Ten times what float32 logits differed by between the backends and processors that were compared,
# as a share of the largest logit or of 1.
_TOLERANCE = 1e-3
# It is always here, and its golden pairs are texts of all lengths.
_TEXTS_OF = "resift-nano"


@dataclass(frozen=True, slots=True)
class Described:
    """A model with a card and golden pairs; these are JSON objects."""

    files: ModelFiles
    """With the card, and so without weights that it doesn't name."""
    card: dict[str, Any]
    golden: dict[str, Any]


def describe(files: ModelFiles, name: str) -> Described:
    """Read a model's card and golden pairs; without a card, make one of its float32 weights.

    Golden pairs that are missing are computed here, from its float32 weights if it has any. Raises
    ``UnsupportedModelError`` for a model with neither a card nor such weights, and for a card
    without digests; ``SelfTestError`` for logits that are NaN or infinity.
    """
    path = files.folder / "card.json"
    if files.card is None:
        return _made(files, name)
    if not files.card.has_digests:
        raise UnsupportedModelError(
            f"{path} lacks digests; expected the sha256 of all weights: export the model again"
        )
    golden = files.folder / "golden.json"
    found = read_json(golden) if golden.is_file() else _golden(files, files.card.tolerance)
    return Described(files, read_json(path), found)


def tested_ways(files: ModelFiles) -> list[str]:
    """Compute all golden pairs in each way that a model runs here; returns the ways.

    Raises ``SelfTestError`` where one gives other logits, ``BackendUnavailableError`` where there
    is no way to run it.
    """

    def passes(model: LoadedModel) -> str:
        check_golden(model, pairs=None)
        return f"{model.way.precision} on {model.way.backend}"

    return _with_each(files, None, passes)


def _made(files: ModelFiles, name: str) -> Described:
    artifacts = [_digested(files, each) for each in files.artifacts if each.precision == "fp32"]
    if not artifacts:
        raise UnsupportedModelError(
            f"{files.folder} has neither a card nor float32 weights, so nothing says what its "
            "logits should be; expected a folder that resift export wrote"
        )
    content: dict[str, Any] = {
        "schema": SCHEMA,
        "name": name,
        "revision": (artifacts[0].sha256 or "")[:12],
        **({"family": files.family} if files.family else {}),
        **_with_each(files, "fp32", _lengths)[0],
        "artifacts": [
            {key: value for key in _FIELDS if (value := getattr(each, key)) is not None}
            for each in artifacts
        ],
        "tolerance": _TOLERANCE,
        "sources": _sources(files),
        "tools": {"resift": __version__},
    }
    carded = replace(files, card=Card.parse(content, files.folder / "card.json"))
    golden = _golden(carded, None)
    content["tolerance"] = golden["tolerance"]
    return Described(carded, content, golden)


def _sources(files: ModelFiles) -> list[dict[str, str | None]]:
    # Where a folder is on somebody's disk says nothing.
    if Path(files.name).exists():
        return []
    return [{"name": files.name, "revision": files.revision, "use": "weights"}]


_FIELDS = ("format", "precision", "file", "sha256", "data_file", "data_sha256")


def _digested(files: ModelFiles, artifact: Artifact) -> Artifact:
    """The artifact with its digests; data in several files are in the manifest alone."""
    path = files.path(artifact)
    found = replace(artifact, sha256=sha256(path))
    data = sorted(read_graph(path).data_files) if path.suffix == ".onnx" else []
    if len(data) != 1:
        return found
    beside = path.parent / data[0]
    name = beside.relative_to(files.folder).as_posix()
    return replace(found, data_file=name, data_sha256=sha256(beside))


def _lengths(model: LoadedModel) -> dict[str, int]:
    return {"max_length": model.reader.max_length, "window": model.reader.window}


def _golden(files: ModelFiles, tolerance: float | None) -> dict[str, Any]:
    packaged = find_packaged(_TEXTS_OF)
    assert packaged is not None
    texts = read_json(packaged.folder / "golden.json")["pairs"]

    def compute(model: LoadedModel) -> dict[str, Any]:
        pairs = [
            {**each, "logit": round(logit_of(model, each["query"], each["document"]), 5)}
            for each in texts
        ]
        unfit = [each for each in pairs if not math.isfinite(each["logit"])]
        if unfit:
            raise SelfTestError(
                f"{files.name} gives no finite logit for {unfit[0]['query']!r} and "
                f"{unfit[0]['document']!r}; expected a model whose scores are numbers"
            )
        scale = max([1.0, *(abs(each["logit"]) for each in pairs)])
        digest = model.way.artifact.sha256
        return {
            "model_sha256": digest,
            "tolerance": _TOLERANCE * scale if tolerance is None else tolerance,
            "pairs": pairs,
        }

    is_float32 = any(each.precision == "fp32" for each in files.artifacts)
    return _with_each(files, "fp32" if is_float32 else None, compute)[0]


def _with_each(
    files: ModelFiles, precision: str | None, use: Callable[[LoadedModel], T]
) -> list[T]:
    """Open a model in each way that this machine has, and return what ``use`` makes of each."""

    def run(backends: Sequence[str]) -> list[T]:
        opener = Opener.of(files, LoadOptions(model=files.folder), backends)
        made, missing = [], []
        for way in plan_of(files, backends, precision).ways:
            try:
                model = opener.open(way)
            except BackendUnavailableError as error:
                missing.append(str(error))
            else:
                made.append(use(model))
        if not made:
            raise BackendUnavailableError("; ".join(missing))
        return made

    return first_able(DEFAULT_BACKEND, None, run)
