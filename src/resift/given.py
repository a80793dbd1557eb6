"""Options as users give them: split, joined, checked and refused."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from resift import checks
from resift.calibrations import ModelCalibration
from resift.declaring import declared_in
from resift.errors import InvalidRequestError
from resift.normalization import Calibration
from resift.options import LoadOptions, RankOptions, Token, declared
from resift.prior import Prior


def split_options(given: Mapping[str, Any]) -> tuple[LoadOptions, RankOptions]:
    """Split the keywords of ``Reranker`` into those fixed when it is made and those of a call."""
    loads = declared_in(LoadOptions)
    load = {name: value for name, value in given.items() if name in loads}
    return LoadOptions(**load), RankOptions(**{k: v for k, v in given.items() if k not in loads})


def joined_options(load: LoadOptions, rank: RankOptions) -> dict[str, Any]:
    """Join options into the keywords of ``Reranker``, without secrets and those that are ``None``.

    All are strings, numbers and dicts, except ``on_timing``.
    """
    given = {
        name: getattr(options, name)
        for options in (load, rank)
        for name, each in declared_in(type(options)).items()
        if each.kind != "secret"
    }
    for name in ("model", "cache_dir"):
        given[name] = given[name] and os.fspath(given[name])
    # Omitted when False, so that options saved before it existed still compare equal.
    given["trust_remote_code"] = given["trust_remote_code"] or None
    if isinstance(given["normalization"], Calibration):
        given["normalization"] = asdict(given["normalization"])
    if isinstance(given["normalization"], ModelCalibration):
        given["normalization"] = given["normalization"].to_dict()
    if isinstance(given["prior"], Prior):
        given["prior"] = given["prior"].to_dict()
    return {name: value for name, value in given.items() if value is not None}


def resolved(token: Token) -> str | None:
    """The token to send, called now if it is a function; ``None`` where there is none.

    Raises ``InvalidRequestError`` for a result that can't be sent, without showing it.
    """
    if not callable(token):
        return token
    given: str | None = checks.check_token("token", token())
    return given


def check_names(given: Mapping[str, Any], known: type) -> dict[str, Any]:
    """Pass keywords as a dict. Raises ``TypeError`` for one that isn't in the ``TypedDict``."""
    names = known.__annotations__
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise TypeError(f"no such option: {', '.join(unknown)}; expected some of {list(names)}")
    return dict(given)


def refuse_assignment(name: str, *, unknown: bool) -> None:
    """Raise ``InvalidRequestError`` for assigning an option to a ``Reranker``, saying what to do.

    With ``unknown``, for any other name too.
    """
    options = declared()
    if name == "observer" or name in declared_in(RankOptions):
        advice = f"others may share this Reranker; give it to rank(…, {name}=…)"
    elif name in options:
        advice = f"it is fixed; make a new one: Reranker(…, {name}=…)"
    elif not unknown:
        return
    else:
        advice = f"there is no such option; expected some of {sorted(options)}, and elsewhere"
    raise InvalidRequestError(f"{name} can't be assigned to a Reranker: {advice}")
