"""The command ``resift export``."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from resift.cli.output import EXIT_OK
from resift.errors import InvalidRequestError

if TYPE_CHECKING:
    # argparse has no public name for it.
    from argparse import _SubParsersAction

TRITON = "triton"
"""The target that is no processor."""


def add_parser(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``export`` to the commands."""
    export = commands.add_parser("export", help="prepare a model for resift, or for Triton")
    export.set_defaults(run=_export)
    export.add_argument("model", metavar="MODEL", help="a folder or a hub name")
    export.add_argument("out", metavar="OUT", help="the folder to write, which is new or empty")
    export.add_argument(
        "--precision",
        choices=["fp32", "bf16", "int8"],
        help="of matrix products (default: fp32; for triton, the model's first that runs)",
    )
    export.add_argument(
        "--target",
        default="auto",
        help="the processor that int8 is for: avx2, avx512-vnni, arm64, any of them, or auto, "
        "which is this one; or triton, for a repository that NVIDIA's Triton serves, of any MODEL "
        "that resift rank takes (default: %(default)s)",
    )
    export.add_argument(
        "--calibration",
        metavar="FILE",
        help='JSON lines to verify on: {"query": …, "documents": […], "grades": […]}, the grades '
        "being optional (default: a small English set)",
    )
    triton = export.add_argument_group("with --target triton")
    triton.add_argument(
        "--threads", type=int, help="of each of two instances (default: the server's CPUs)"
    )
    triton.add_argument("--gpu", action="store_true", help="run it on GPUs, by torch")


def _export(parsed: argparse.Namespace) -> int:
    if parsed.target == TRITON:
        return _export_triton(parsed)
    if parsed.gpu or parsed.threads is not None:
        raise InvalidRequestError(
            f"--gpu and --threads are for --target {TRITON}; leave them out: whoever loads the "
            "folder says what runs it"
        )
    # It imports a package that only this command needs.
    from resift.export import export

    precision = parsed.precision or "fp32"
    card = export(parsed.model, parsed.out, precision, parsed.calibration, parsed.target)
    measured = card["metrics"]["calibration"]
    sys.stdout.write(
        f"{parsed.out}: {card['artifacts'][0]['precision']}, attention {card['attention']}; of "
        f"{measured['pairs']} pairs, logits within {measured['max_logit_difference']:.2g} of the "
        f"source's, Kendall's tau {measured['kendall_tau']:.3f}; neighbours move them by "
        f"{measured['neighbour_difference']:.2g}; verified {card['verified']}\n"
    )
    return EXIT_OK


def _export_triton(parsed: argparse.Namespace) -> int:
    from resift.export import export_triton

    if parsed.calibration is not None:
        raise InvalidRequestError(
            f"--calibration verifies an export of weights, and --target {TRITON} takes them as "
            "they are: export the model to a folder with --calibration first, and then that folder"
        )
    written = export_triton(
        parsed.model,
        parsed.out,
        precision=parsed.precision,
        threads=parsed.threads,
        gpu=parsed.gpu,
    )
    graph = f"; its graph in {written.graph} as resift_onnx" if written.graph else ""
    sys.stdout.write(
        f"{parsed.out}: {written.model} as resift{graph}; {written.folder / 'README.md'} says how "
        "to start them\n"
    )
    return EXIT_OK
