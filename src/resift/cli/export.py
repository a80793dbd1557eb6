"""The command ``resift export``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from resift.cli.output import EXIT_OK

if TYPE_CHECKING:
    # argparse has no public name for it.
    from argparse import _SubParsersAction


def add_parser(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``export`` to the commands."""
    export = commands.add_parser("export", help="prepare a model of transformers for resift")
    export.set_defaults(run=_export)
    export.add_argument("model", metavar="MODEL", help="a folder or a hub name")
    export.add_argument("out", metavar="OUT", help="the folder to write, which is new or empty")
    export.add_argument(
        "--precision",
        choices=["fp32", "bf16", "int8"],
        default="fp32",
        help="of matrix products (default: %(default)s)",
    )
    export.add_argument(
        "--target",
        default="auto",
        help="the processor that int8 is for: avx2, avx512-vnni, arm64, any of them, or auto, "
        "which is this one (default: %(default)s)",
    )
    export.add_argument(
        "--calibration",
        metavar="FILE",
        help='JSON lines to verify on: {"query": …, "documents": […], "grades": […]}, the grades '
        "being optional (default: a small English set)",
    )


def _export(parsed: argparse.Namespace) -> int:
    # It imports a package that only this command needs.
    from resift.export import export

    card = export(parsed.model, parsed.out, parsed.precision, parsed.calibration, parsed.target)
    measured = card["metrics"]["calibration"]
    sys.stdout.write(
        f"{parsed.out}: {card['artifacts'][0]['precision']}, attention {card['attention']}; of "
        f"{measured['pairs']} pairs, logits within {measured['max_logit_difference']:.2g} of the "
        f"source's, Kendall's tau {measured['kendall_tau']:.3f}; neighbours move them by "
        f"{measured['neighbour_difference']:.2g}; verified {card['verified']}\n"
    )
    return EXIT_OK
