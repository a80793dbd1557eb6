"""The declared options as flags of the command line."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from resift.options import LoadOptions, RankOptions, declared, defaults

_HINTS = {**get_type_hints(LoadOptions), **get_type_hints(RankOptions)}
NAMES = [name for name, each in declared().items() if each.kind == "data"]
"""The options that a command line can give."""


def add_option(parser: argparse._ActionsContainer, name: str, **settings: Any) -> None:
    """Add the flag of an option to a parser, by its type, default and meaning.

    An option that isn't given is parsed as ``None``.
    """
    option, default = declared()[name], {**defaults("made"), **defaults("rank")}[name]
    flags = [*filter(None, [option.flag]), "--" + name.replace("_", "-")]
    text = option.meaning if default in (None, False) else f"{option.meaning} (default: {default})"
    parsed = {"type": option.parse} if option.parse else _kind(_HINTS[name])
    kind = {**parsed, "help": text.replace("%", "%%"), **settings}
    parser.add_argument(*flags, dest=name, default=None, **kind)


def given_options(parsed: argparse.Namespace) -> dict[str, Any]:
    """The options that the command line gave, by name."""
    found = {name: getattr(parsed, name, None) for name in NAMES}
    return {name: value for name, value in found.items() if value is not None}


def _kind(hint: Any) -> Mapping[str, Any]:
    """The arguments of ``add_argument`` for a type; in a union, for the first that it can parse."""
    kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    for kind in kinds:
        if get_origin(kind) is Literal:
            return {"choices": get_args(kind)}
        if get_origin(kind) is Sequence:
            return {"action": "append", "metavar": "NAME"}
        if kind is bool:
            return {"action": "store_true"}
        if kind in (int, float):
            return {"type": kind}
    return {}
