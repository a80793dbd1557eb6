"""The entry point ``resift``: its commands, and the exit statuses of errors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from resift import ResiftError, __version__
from resift.cli import (
    calibrate,
    compare,
    evaluate,
    export,
    label,
    models,
    rank,
    rerank_dataset,
    serve,
)
from resift.cli.output import EXIT_FAILED, EXIT_OK, EXIT_USAGE, escaping
from resift.errors import InvalidRequestError

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status that ``--help`` lists."""
    parsed = _parser().parse_args(arguments)
    try:
        with escaping():
            return int(parsed.run(parsed) or EXIT_OK)
    except (InvalidRequestError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"resift: {error}\n")
        return EXIT_USAGE
    except ResiftError as error:
        sys.stderr.write(f"resift: {error}\n")
        return EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="resift", description="Rerank documents for a query.")
    parser.add_argument("--version", action="version", version=f"resift {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    rank.add_parser(commands)
    models.add_parser(commands)
    export.add_parser(commands)
    serve.add_parser(commands)
    compare.add_parser(commands)
    calibrate.add_parser(commands)
    evaluate.add_parser(commands)
    label.add_parser(commands)
    rerank_dataset.add_parser(commands)
    return parser
