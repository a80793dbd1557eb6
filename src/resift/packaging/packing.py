"""A model's folder to a wheel: completed, tested, recorded, and written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from resift import __version__
from resift.errors import InvalidRequestError, ModelNotFoundError
from resift.models.card import Card
from resift.models.folder import ModelFiles, read_files
from resift.models.packages import GROUP, find_packaged
from resift.models.store.manifest import BUNDLE_MANIFEST, Manifest, sha256
from resift.models.store.paths import list_files, read_json
from resift.models.store.upkeep import copy_files
from resift.packaging.describing import describe, tested_ways
from resift.packaging.licence import find_licence
from resift.packaging.naming import check_name, check_version
from resift.packaging.wheel import Metadata, module_name, write_wheel


@dataclass(frozen=True, kw_only=True, slots=True)
class Wanted:
    """The wishes for a distribution; unset, ``license`` and ``summary`` are the model's.

    ``InvalidRequestError`` is raised for a name that is taken, and invalid values.
    """

    name: str
    version: str
    license: str | None = None
    license_files: tuple[Path, ...] = ()
    without_license: bool = False
    summary: str | None = None

    def __post_init__(self) -> None:
        check_name(self.name)
        check_version(self.version)
        if self.summary is not None and not self.summary.isprintable():
            raise InvalidRequestError(f"--summary is {self.summary!r}; expected one line of text")


@dataclass(frozen=True, slots=True)
class Written:
    """A wheel, and the ways in which its model passed its self-test."""

    path: Path
    ways: Sequence[str]


def package(files: ModelFiles, wanted: Wanted, out: Path) -> Written:
    """Write the wheel of a model to the folder ``out``; the same model gives the same bytes.

    Raises ``InvalidRequestError`` without a licence and for another wheel by the same name,
    ``ModelError`` for a model that can't be packaged or fails its self-test.
    """
    described = describe(files, wanted.name)
    licence = find_licence(
        files.folder,
        described.card,
        expression=wanted.license,
        texts=wanted.license_files,
        without=wanted.without_license,
    )
    card = described.card
    if licence.expression:
        card = {**card, "license": licence.expression}
    out.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{wanted.name}-", dir=out) as parent:
        folder = Path(parent, "model")
        copy_files(described.files, folder)
        _complete(folder / "card.json", card)
        _complete(folder / "golden.json", described.golden)
        for text in licence.texts:
            shutil.copyfile(text, folder / text.name)
        staged = read_files(wanted.name, folder)
        assert staged.card is not None
        ways = tested_ways(staged)
        manifest = Manifest.of(folder, name=wanted.name, revision=staged.revision)
        manifest.write(folder / BUNDLE_MANIFEST)
        about = Metadata(
            name=wanted.name,
            version=wanted.version,
            summary=wanted.summary or f"{wanted.name}, a reranking model for resift",
            license_expression=licence.expression,
            license_files={each.name: folder / each.name for each in licence.texts},
            requires=(f"resift>={__version__}", *_estimator(staged.card)),
            generator=f"resift {__version__}",
            description=_description(folder, wanted.name),
        )
        wheel = Path(parent, "wheel")
        _write(wheel, about, folder)
        return Written(_publish(wheel, out / f"{about.stem}-py3-none-any.whl"), ways)


def _write(wheel: Path, about: Metadata, folder: Path) -> None:
    # With a prefix, so that it can't be the name of somebody's code.
    module = f"resift_model_{module_name(about.name)}"
    files: dict[str, Path | bytes] = {
        f"{module}/{about.name}/{each}": folder / each for each in list_files(folder)
    }
    points = f"[{GROUP}]\n{about.name} = {module}\n"
    write_wheel(wheel, about, points, {f"{module}/__init__.py": b"", **files})


def _publish(wheel: Path, final: Path) -> Path:
    if not final.exists():
        wheel.rename(final)
    elif sha256(final) != sha256(wheel):
        raise InvalidRequestError(
            f"{final} exists already, with other content: a version stands for one content. Give "
            "another --version or --out"
        )
    return final


def _estimator(card: Card) -> list[str]:
    """The requirement of the package that has the card's estimator, if resift itself hasn't."""
    if card.estimator is None:
        return []
    found = find_packaged(card.estimator.model)
    if found is None:
        raise ModelNotFoundError(
            f"the card names the estimator {card.estimator.model!r}, which no installed package "
            "has; install it first, or take 'estimator' from the card"
        )
    return [] if found.is_ours else [f"{found.distribution}>={found.version}"]


def _description(folder: Path, name: str) -> str:
    path = folder / "README.md"
    if path.is_file():
        return path.read_text(encoding="utf-8")
    return (
        f"# {name}\n\nA reranking model, for `resift.Reranker({name!r})`. "
        "Its files are data; nothing in this package is code.\n"
    )


def _complete(path: Path, content: Mapping[str, Any]) -> None:
    """Write what a file doesn't say yet."""
    if path.is_file() and read_json(path) == content:
        return
    text = json.dumps(content, ensure_ascii=False, indent=2)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
