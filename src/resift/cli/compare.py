"""The command ``resift compare-server``."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from resift import Reranker
from resift.cli.options import add_option
from resift.cli.output import EXIT_DIFFERS, EXIT_FAILED, EXIT_OK, EXIT_USAGE, to_json
from resift.declaring import declared_in
from resift.errors import InvalidRequestError
from resift.options import LoadOptions
from resift.protocols import PROTOCOLS

if TYPE_CHECKING:
    # argparse has no public name for it.
    from argparse import _SubParsersAction

_NAMES = [name for name, each in declared_in(LoadOptions).items() if each.kind == "data"]
_EPILOG = f"""\
Sends at most 25 requests of fixed texts. It needs the extra "remote".

exit status: {EXIT_OK} the server scores as the model here does, {EXIT_DIFFERS} something differs,
{EXIT_USAGE} the call was wrong, {EXIT_FAILED} they couldn't be compared: the server can't be
reached, refuses or answers garbage, or the model here can't be used.

examples:
  resift compare-server http://127.0.0.1:8080 --protocol tei --model bge-reranker-base
  resift compare-server https://rerank.example.com --protocol jina --remote-model small
"""


def add_parser(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``compare-server`` to the commands."""
    compare = commands.add_parser(
        "compare-server",
        help="say whether a server scores as a model here does",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    compare.set_defaults(run=_compare)
    compare.add_argument("url", metavar="URL", help="the server's address")
    compare.add_argument("--protocol", required=True, choices=list(PROTOCOLS))
    compare.add_argument("--remote-model", metavar="NAME", help="the model's name there")
    compare.add_argument(
        "--key-env", metavar="VAR", help="the environment variable that has the server's key"
    )
    compare.add_argument(
        "--timeout", type=float, default=30.0, help="seconds for each request (default: 30)"
    )
    compare.add_argument("--format", choices=["table", "json"], default="table")
    for name in _NAMES:
        add_option(compare, name)


def _compare(parsed: argparse.Namespace) -> int:
    # It imports numpy and httpx for this command alone.
    from resift.compare import compare_server

    if PROTOCOLS[parsed.protocol].needs_model and parsed.remote_model is None:
        raise InvalidRequestError(
            f"--protocol {parsed.protocol} needs --remote-model, the model's name there"
        )
    given = {name: getattr(parsed, name) for name in _NAMES}
    report = compare_server(
        parsed.url,
        protocol=parsed.protocol,
        reranker=Reranker(**{name: value for name, value in given.items() if value is not None}),
        model=parsed.remote_model,
        key=_key(parsed.key_env),
        timeout=parsed.timeout,
    )
    written = to_json(report.to_dict(), sys.stdout) if parsed.format == "json" else report.to_text()
    sys.stdout.write(written)
    return {"same": EXIT_OK, "differs": EXIT_DIFFERS, "unknown": EXIT_FAILED}[report.status]


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable)
    if not key:
        raise InvalidRequestError(
            f"--key-env {variable}: there is no such environment variable, or it is empty; set it "
            "to the server's key"
        )
    return key
