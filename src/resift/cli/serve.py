"""The command ``resift serve``."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from resift.cli.options import NAMES, add_option, given_options
from resift.cli.output import EXIT_OK
from resift.errors import BackendUnavailableError, InvalidRequestError
from resift.options import defaults

if TYPE_CHECKING:
    # argparse has no public name for it.
    from argparse import _SubParsersAction

    from resift.server.config import Config

_EPILOG = """\
Speaks resift's own protocol (POST /v1/rank) and those of Text Embeddings Inference, Cohere, Jina,
Voyage, vLLM, infinity and Weaviate's sidecar. It listens at once and loads meanwhile: GET
/health/ready says when it can rank. SIGTERM lets the accepted requests finish. Keys of clients are
in keys_file= of the configuration, or in RESIFT_API_KEYS; beyond this machine it needs some.

examples:
  resift serve
  resift serve --model resift-nano --port 9000
  resift serve --config resift.toml
  resift serve --config resift.toml --ray
"""


def add_parser(commands: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add ``serve`` to the commands."""
    serve = commands.add_parser(
        "serve",
        help="answer the clients of rerankers over HTTP",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    serve.set_defaults(run=_serve)
    serve.add_argument(
        "--config", metavar="FILE", help="a file of TOML with settings, limits and models"
    )
    serve.add_argument("--host", help="the address to listen at (default: 127.0.0.1)")
    serve.add_argument("--port", type=int, help="the port to listen at (default: 8080)")
    serve.add_argument("--keys-file", metavar="FILE", help="a file with clients' keys, one a line")
    serve.add_argument("--no-keys", action="store_true", help="need no keys, wherever it listens")
    serve.add_argument(
        "--log-format",
        choices=["json", "text"],
        help="lines of the log (default: text on a terminal)",
    )
    serve.add_argument(
        "--ray",
        metavar="ADDRESS",
        nargs="?",
        const="",
        help="serve on the Ray cluster at this address, or on one that is started here; needs "
        "resift-ray",
    )
    served = defaults("made")
    for name in NAMES:
        if name in served:
            add_option(serve, name)


def _serve(parsed: argparse.Namespace) -> int:
    try:
        from resift.server.config import Config
        from resift.server.run import run
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            f"{error.name} isn't installed, which resift serve needs: pip install 'resift[server]'"
        ) from error
    options = given_options(parsed)
    if parsed.config and options:
        raise InvalidRequestError(
            f"--config has the models and their options: give {sorted(options)} there"
        )
    config = Config.read(parsed.config) if parsed.config else Config.of(**options)
    names = ("host", "port", "keys_file", "log_format")
    given = {name: getattr(parsed, name) for name in names if getattr(parsed, name) is not None}
    if parsed.no_keys:
        given["require_keys"] = False
    config = replace(config, settings=replace(config.settings, **given))
    if parsed.ray is None:
        run(config)
    else:
        _on_ray()(config, parsed.ray or None)
    return EXIT_OK


def _on_ray() -> Callable[[Config, str | None], None]:
    try:
        found: Callable[[Config, str | None], None] = import_module("resift_ray.serve").run
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            f"{error.name} isn't installed, which resift serve --ray needs: pip install resift-ray"
        ) from error
    return found
