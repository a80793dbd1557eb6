"""The command ``resift models``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from resift.backends.choice import first_able
from resift.cli import package
from resift.cli.output import to_json
from resift.errors import BackendUnavailableError, ModelError, ModelNotFoundError
from resift.loading.finding import find_files
from resift.loading.plan import plan_of
from resift.models.catalogue import find_listing, listings
from resift.models.folder import ModelFiles, read_files
from resift.models.packages import Packaged, fault, find_packaged, packaged_models
from resift.models.sources.disk import read_packaged, verify_packaged
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
  resift models package exported --name acme-ranker --version 1.2.0 --license LicenseRef-Acme
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
        ("verify", _verify, "check every file in the cache and in packages, or one model's"),
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
            _add_finding(action)
        _add_cache(action)
    packaging = package.add_parser(actions, _find)
    _add_finding(packaging)
    _add_cache(packaging)


def _add_finding(action: argparse.ArgumentParser) -> None:
    action.add_argument("--revision", help="a commit, tag or branch")
    action.add_argument("--precision", help="default: the preferred one that runs here")
    action.add_argument("--backend", default=DEFAULT_BACKEND, help="default: %(default)s")
    action.add_argument("--offline", action="store_true", default=None)


def _add_cache(action: argparse.ArgumentParser) -> None:
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


def _runs(read: Callable[[], ModelFiles]) -> dict[str, Any]:
    """The ways that a model on disk runs on this machine by default, the preferred one first."""
    try:
        files = read()
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
    packaged = packaged_models()
    faults = {each: fault(each) for each in packaged}
    rows = [
        (each.name, each.origin, "", *((_licence(each), "yes") if why is None else ("", "fault")))
        for each, why in faults.items()
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
    sys.stderr.writelines(f"resift: {why}\n" for why in dict.fromkeys(faults.values()) if why)


def _licence(packaged: Packaged) -> str:
    """The licence on a model's card; empty where that can't be read."""
    try:
        return str(read_json(packaged.folder / "card.json").get("license", ""))
    except (ModelError, OSError):
        return ""


def _show(parsed: argparse.Namespace) -> None:
    cache = Cache.at(parsed.cache_dir)
    listing = find_listing(parsed.model)
    cached = [
        {
            "folder": str(cache.folder(key)),
            **_runs(partial(read_files, manifest.name, cache.folder(key))),
            **asdict(manifest),
        }
        for key in keys_of(parsed.model, cache)
        if (manifest := cache.read_record(key))
    ]
    packaged = find_packaged(parsed.model)
    content = {
        "package": {"folder": str(packaged.folder), **asdict(packaged)} if packaged else None,
        "card": read_json(packaged.folder / "card.json") if packaged else None,
        "here": _runs(partial(read_packaged, packaged)) if packaged else None,
        "catalogue": asdict(listing) if listing else None,
        "cached": cached,
    }
    if not any(content.values()):
        raise ModelNotFoundError(
            f"nothing is known of {parsed.model!r}: it is neither in an installed package, nor in "
            f"the catalogue, nor in the cache {cache.root}; expected a name that resift models "
            "list shows"
        )
    sys.stdout.write(to_json({k: v for k, v in content.items() if v}, sys.stdout))


def _verify(parsed: argparse.Namespace) -> None:
    cache = Cache.at(parsed.cache_dir)
    if parsed.model is not None and Path(parsed.model).is_dir():
        manifest = verify_bundle(Path(parsed.model))
        sys.stdout.write(f"whole: {manifest.name}, {len(manifest.files)} files\n")
        return
    keys = cache.keys() if parsed.model is None else keys_of(parsed.model, cache)
    checks = {key: partial(_verify_cached, key, cache) for key in keys}
    for packaged in packaged_models() if parsed.model is None else [find_packaged(parsed.model)]:
        if packaged is not None:
            label = f"{packaged.name} of {packaged.origin}"
            checks[label] = partial(_verify_packaged, packaged)
    if parsed.model is not None and not checks:
        raise ModelNotFoundError(
            f"{parsed.model} is neither in an installed package nor in the cache {cache.root}"
        )
    faults = 0
    for label, check in checks.items():
        try:
            count = check()
        except ModelError as error:
            faults += 1
            sys.stdout.write(f"fault: {label}: {error}\n")
        else:
            sys.stdout.write(f"whole: {label}, {count} files\n")
    if faults:
        raise ModelError(
            f"{faults} of {len(checks)} models in {cache.root} and in packages can't be used"
        )


def _verify_cached(key: str, cache: Cache) -> int:
    return len(verify(key, cache).files)


def _verify_packaged(packaged: Packaged) -> int:
    if why := fault(packaged):
        raise why
    return verify_packaged(packaged)


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
