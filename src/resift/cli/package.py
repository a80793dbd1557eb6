"""The command ``resift models package``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from resift.models.folder import ModelFiles
from resift.packaging.packing import Wanted, package

if TYPE_CHECKING:
    # argparse has no public name for it.
    from argparse import _SubParsersAction


def add_parser(
    actions: _SubParsersAction[argparse.ArgumentParser],
    find: Callable[[argparse.Namespace], ModelFiles],
) -> argparse.ArgumentParser:
    """Add ``package`` to the commands of ``resift models``; ``find`` gets the model."""
    parser = actions.add_parser("package", help="write a model as a wheel, to install with pip")
    parser.set_defaults(run=lambda parsed: _package(parsed, find))
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--name", required=True, help="of the model, and of its distribution")
    parser.add_argument("--version", required=True, help="as packages have it, such as 1.2.0")
    parser.add_argument(
        "--out", type=Path, default=Path(), metavar="DIR", help="default: the current folder"
    )
    parser.add_argument(
        "--license", metavar="SPDX", help="an SPDX expression (default: the card's licence)"
    )
    parser.add_argument(
        "--license-file",
        type=Path,
        action="append",
        default=[],
        metavar="PATH",
        help="a text beside those in the model's folder; may be given several times",
    )
    parser.add_argument(
        "--without-license", action="store_true", help="for a package that stays in-house"
    )
    parser.add_argument("--summary", help="one line about it")
    return parser


def _package(parsed: argparse.Namespace, find: Callable[[argparse.Namespace], ModelFiles]) -> None:
    wanted = Wanted(
        name=parsed.name,
        version=parsed.version,
        license=parsed.license,
        license_files=tuple(parsed.license_file),
        without_license=parsed.without_license,
        summary=parsed.summary,
    )
    written = package(find(parsed), wanted, parsed.out)
    sys.stdout.write(f"{written.path}: passed its self-test in {', '.join(written.ways)}\n")
