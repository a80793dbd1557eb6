"""The licence of a model's distribution: an SPDX expression, and texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from resift.errors import InvalidRequestError

_TEXTS = ("LICENSE*", "LICENCE*", "COPYING*", "NOTICE*")
_ID = r"[A-Za-z0-9][A-Za-z0-9.-]*"
_TOKEN = re.compile(rf"\s*(?:([()])|({_ID}\+?))")


@dataclass(frozen=True, slots=True)
class Licence:
    """An expression and texts; a model without a licence has neither."""

    expression: str | None
    texts: tuple[Path, ...]
    """Each with a file name of its own."""


def find_licence(
    folder: Path,
    card: Mapping[str, Any],
    *,
    expression: str | None,
    texts: Sequence[Path],
    without: bool,
) -> Licence:
    """Find the licence of the model in a folder: what is given, its card's, and texts beside it.

    Raises ``InvalidRequestError`` for a model without one, unless it is to be ``without``; for an
    expression that isn't SPDX's, or isn't the card's; and for texts that are missing.
    """
    on_card = card.get("license")
    if expression and on_card and expression.lower() != str(on_card).lower():
        raise InvalidRequestError(
            f"--license {expression} isn't the card's {on_card!r}; leave --license out, or correct "
            f"{folder / 'card.json'}"
        )
    named = expression or (str(on_card) if on_card else None)
    if named and not _is_expression(named):
        raise InvalidRequestError(
            f"the licence {named!r} isn't an SPDX expression; expected --license with one, such as "
            "Apache-2.0, 'MIT OR Apache-2.0', or LicenseRef-Acme for terms of your own"
        )
    for path in texts:
        if not path.is_file():
            raise InvalidRequestError(f"--license-file {path} isn't a file; expected a text")
    found = texts_beside(folder) | {path.name: path for path in texts}
    if len({path.name for path in texts}) < len(texts):
        raise InvalidRequestError("two --license-file have the same file name; rename one")
    if (named or found) and without:
        raise InvalidRequestError(
            f"--without-license, but there is {named or ', '.join(found)}; leave --without-license "
            "out, or take away what isn't the model's licence"
        )
    if not (named or found or without):
        raise InvalidRequestError(
            f"{folder} has no licence: neither its card nor a file says what others may do with "
            "it. Give --license with an SPDX expression (LicenseRef-Acme for terms of your own) "
            "and --license-file with the text, or --without-license for a package that stays "
            "in-house"
        )
    return Licence(named, tuple(found[name] for name in sorted(found)))


def texts_beside(folder: Path) -> dict[str, Path]:
    """The texts of licences in a model's folder, by file name."""
    found = (path for each in _TEXTS for path in folder.glob(each) if path.is_file())
    return {path.name: path for path in sorted(found)}


def _is_expression(text: str) -> bool:
    """Whether a text has the grammar of SPDX; which licences there are isn't known here."""
    tokens, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            return False
        tokens.append(match[1] or match[2])
        at = match.end()
    # "x" for a licence, so that the grammar is a pattern; innermost parentheses are one.
    words = {"AND": "a", "OR": "a", "WITH": "w", "(": "(", ")": ")"}
    shape = "".join(words.get(each.upper(), "x") for each in tokens)
    before = None
    while before != shape:
        before = shape
        shape = re.sub(r"xwx", "y", shape)
        shape = re.sub(r"\(([xy](?:a[xy])*)\)", "y", shape)
    return re.fullmatch(r"[xy](?:a[xy])*", shape) is not None
