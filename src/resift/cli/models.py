"""The command ``resift models``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resift.backends.choice import first_able
from resift.cli.output import to_json
from resift.errors import BackendUnavailableError, ModelError, ModelNotFoundError
from resift.loading.finding import find_files
from resift.loading.plan import plan_of
from resift.models.catalogue import find_listing, listings
from resift.models.folder import ModelFiles, read_files
from resift.models.sources.disk import BUNDLED, is_bundled
from resift.models.store.cache import Cache
from resift.models.store.paths import read_json
from resift.models.store.upkeep import bundle, keys_of, remove, verify, verify_bundle
from resift.options import DEFAULT_BACKEND, LoadOptions

if TYPE_CHECKING:
    # argparse has no public name for it.
    from argparse import _SubParsersAction

_EPILOG = """\
MODEL is what Reranker takes: a name that "resift models list" shows, a hub repository
"owner/name", a folder, a zip archive, or its address with #sha256=.

examples:
  resift models pull bge-reranker-base
  resift models bundle ms-marco-MiniLM-L-12-v2 model.zip
  resift rank --bundle model.zip "how to sort a dict" "use sorted with a key" "bread needs yeast"
"""


def add_parser(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``models``, with its own commands, to the commands."""
    parser = commands.add_parser(
        "models",
        help="get, list, check and carry models",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, run, description in (
        ("pull", _pull, "download a model, or find it in the cache, and check it"),
        ("list", _list, "the models that have names, and those in the cache"),
        ("show", _show, "what is known of a model, as JSON"),
        ("verify", _verify, "check the sha256 of every file in the cache, or of one model's"),
        ("remove", _remove, "delete a model from the cache"),
        ("bundle", _bundle, "write a model to a folder or .zip archive, to carry it elsewhere"),
    ):
        action = actions.add_parser(name, help=description)
        action.set_defaults(run=run)
        if name == "verify":
            action.add_argument("model", nargs="?", metavar="MODEL", help="default: all")
        elif name != "list":
            action.add_argument("model", metavar="MODEL")
        if name == "bundle":
            action.add_argument("out", type=Path, metavar="OUT", help="a new folder, or *.zip")
        if name in ("pull", "bundle"):
            action.add_argument("--revision", help="a commit, tag or branch")
            action.add_argument("--precision", help="default: the preferred one that runs here")
            action.add_argument("--backend", default=DEFAULT_BACKEND, help="default: %(default)s")
            action.add_argument("--offline", action="store_true", default=None)
        action.add_argument("--cache-dir", help="where downloaded models are kept")


def _pull(parsed: argparse.Namespace) -> None:
    files = _find(parsed)
    revision = f" (revision {files.revision})" if files.revision else ""
    sys.stdout.write(f"{files.name}{revision}: {files.folder}\n")


def _find(parsed: argparse.Namespace) -> ModelFiles:
    options = LoadOptions(
        model=parsed.model,
        backend=parsed.backend,
        revision=parsed.revision,
        cache_dir=parsed.cache_dir,
        offline=parsed.offline,
        precision=parsed.precision,
    )

    def find(backends: Sequence[str]) -> ModelFiles:
        files = find_files(options, backends)
        # Raises where weights are missing or damaged.
        for way in plan_of(files, backends, parsed.precision).ways:
            files.path(way.artifact)
        return files

    return first_able(parsed.backend, None, find)


def _runs(name: str, folder: Path) -> dict[str, Any]:
    """The ways that a model on disk runs on this machine by default, the preferred one first."""
    try:
        files = read_files(name, folder)
        found = first_able(DEFAULT_BACKEND, None, lambda each: plan_of(files, each, None))
    except (ModelError, BackendUnavailableError) as error:
        return {"runs": [], "refused": [str(error)]}
    ways = [
        {"backend": way.backend, "precision": way.precision, "file": way.artifact.file}
        for way in found.ways
    ]
    return {"runs": ways, "refused": found.refused}


def _list(parsed: argparse.Namespace) -> None:
    cache = Cache.at(parsed.cache_dir)
    rows = [
        (path.parent.name, "bundled", "", read_json(path)["license"], "yes")
        for path in sorted(BUNDLED.glob("*/card.json"))
    ]
    shown = set()
    for listing in listings().values():
        keys = keys_of(listing.name, cache)
        shown |= set(keys)
        where = listing.repository if listing.source == "hub" else "FlashRank"
        rows.append(
            (listing.name, where, listing.size or "", listing.license, "yes" if keys else "")
        )
    for key in cache.keys():  # noqa: SIM118
        manifest = cache.read_record(key)
        if manifest is not None and key not in shown:
            rows.append((manifest.name, key, "", "", "yes"))
    _write_table([("name", "where", "size", "licence", "here"), *rows])


def _show(parsed: argparse.Namespace) -> None:
    cache = Cache.at(parsed.cache_dir)
    listing = find_listing(parsed.model)
    cached = [
        {
            "folder": str(cache.folder(key)),
            **_runs(manifest.name, cache.folder(key)),
            **asdict(manifest),
        }
        for key in keys_of(parsed.model, cache)
        if (manifest := cache.read_record(key))
    ]
    folder = BUNDLED / parsed.model
    bundled = is_bundled(parsed.model)
    content = {
        "card": read_json(folder / "card.json") if bundled else None,
        "here": _runs(parsed.model, folder) if bundled else None,
        "catalogue": asdict(listing) if listing else None,
        "cached": cached,
    }
    if not any(content.values()):
        raise ModelNotFoundError(
            f"nothing is known of {parsed.model!r}: it is neither bundled, nor in the catalogue, "
            f"nor in the cache {cache.root}; expected a name that resift models list shows"
        )
    sys.stdout.write(to_json({k: v for k, v in content.items() if v}, sys.stdout))


def _verify(parsed: argparse.Namespace) -> None:
    cache = Cache.at(parsed.cache_dir)
    if parsed.model is not None and Path(parsed.model).is_dir():
        manifest = verify_bundle(Path(parsed.model))
        sys.stdout.write(f"whole: {manifest.name}, {len(manifest.files)} files\n")
        return
    keys = cache.keys() if parsed.model is None else keys_of(parsed.model, cache)
    if parsed.model is not None and not keys:
        raise ModelNotFoundError(f"{parsed.model} is not in the cache {cache.root}")
    faults = 0
    for key in keys:
        try:
            manifest = verify(key, cache)
        except ModelError as error:
            faults += 1
            sys.stdout.write(f"fault: {key}: {error}\n")
        else:
            sys.stdout.write(f"whole: {key}, {len(manifest.files)} files\n")
    if faults:
        raise ModelError(f"{faults} of {len(keys)} models in {cache.root} can't be used")


def _remove(parsed: argparse.Namespace) -> None:
    for path in remove(parsed.model, Cache.at(parsed.cache_dir)):
        sys.stdout.write(f"removed {path}\n")


def _bundle(parsed: argparse.Namespace) -> None:
    manifest = bundle(_find(parsed), parsed.out)
    sys.stdout.write(f"{parsed.out}: {manifest.name}, {len(manifest.files)} files\n")


def _write_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        sys.stdout.write("  ".join(cells).rstrip() + "\n")
