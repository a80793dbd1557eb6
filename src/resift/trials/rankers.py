"""Rankers by name: the first stage alone, models here and on servers."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from resift.declaring import declared_in
from resift.errors import InvalidRequestError
from resift.options import LoadOptions, RankOptions
from resift.protocols import PROTOCOLS
from resift.reranker import Reranker
from resift.scoring import Cached, Local, Remote

NONE = "none"
DEFAULT = (NONE, "resift-small", "resift-small,prior=auto")
"""The first stage; the bundled model alone; and with the order given, as adapters have it."""

_LOADING = {name for name, each in declared_in(LoadOptions).items() if each.kind == "data"}
_RANKING = {name for name, each in declared_in(RankOptions).items() if "made" in each.at}
_SERVER = {"model", "key_env", "timeout", "attempts", "concurrency", "window", "step", "scale"}
# Logits of the candidates of some thousand queries.
_KEPT_BYTES = 500_000_000


@dataclass(frozen=True, slots=True)
class Ranker:
    """A way to order candidates, by name."""

    name: str
    spec: str
    """As it was given."""
    reranker: Reranker | None
    """``None`` for the first stage's own order."""
    keeping: Reranker | None = None
    """The same with logits kept for other rankers with the same model: for scoring, not timing."""

    @property
    def prunes(self) -> bool:
        """Whether it gives no order beyond the first ``top_n``."""
        return self.reranker is not None and self.reranker.options.get("prune") == "auto"

    @property
    def uses_order(self) -> bool:
        """Whether the order given is part of what it ranks by."""
        return self.reranker is None or bool(self.reranker.options.get("prior"))


class Rankers:
    """Makes rankers of what people write; those of the same model share its logits.

    ``named`` are ready ones, such as those of a configuration.
    """

    def __init__(self, named: Mapping[str, Reranker] | None = None) -> None:
        self._named = named or {}
        self._shared: dict[str, tuple[Local, Cached]] = {}

    def read(self, given: str) -> Ranker:
        """A ranker of ``NAME=SPEC``, or of ``SPEC`` alone, which is then its name.

        ``SPEC`` is ``none``, a model's name with options (``resift-small,prune=auto``), a server
        (``tei+http://127.0.0.1:8080,timeout=5``), or one of the names given.
        """
        name, equals, spec = given.partition("=")
        if not equals or "," in name or "://" in name:
            name, spec = given, given
        if not name.strip() or not spec.strip():
            raise InvalidRequestError(f"{given!r} must be NAME=SPEC, such as small=resift-small")
        return self.make(name.strip(), spec.strip())

    def make(self, name: str, spec: str | Reranker | None) -> Ranker:
        """A ranker of this name: of a spec, of a ``Reranker``, or of ``None`` for no reranking."""
        if spec is None or spec == NONE:
            return Ranker(name, NONE, None)
        if isinstance(spec, Reranker):
            return _ready(name, repr(spec), spec)
        if not isinstance(spec, str):
            raise InvalidRequestError(
                f"the ranker {name!r} must be a Reranker, a text or None, not {spec!r:.80}"
            )
        if spec in self._named:
            return _ready(name, spec, self._named[spec])
        target, *parts = _split(spec)
        options = dict(_option(spec, part) for part in parts)
        if re.match(r"[\w-]+\+https?://", target):
            return _remote(name, spec, target, options)
        unknown = options.keys() - _LOADING - _RANKING
        if unknown:
            raise InvalidRequestError(
                f"{spec!r}: no such options: {sorted(unknown)}; expected some of "
                f"{sorted(_LOADING | _RANKING)}"
            )
        return self._local(name, spec, target, options)

    def _local(self, name: str, spec: str, model: str, options: dict[str, Any]) -> Ranker:
        loading = {each: value for each, value in options.items() if each in _LOADING}
        ranking = {each: value for each, value in options.items() if each in _RANKING}
        key = json.dumps([model, loading], sort_keys=True, default=str)
        if key not in self._shared:
            scorer = Local(model, **loading)
            self._shared[key] = scorer, Cached(scorer, max_bytes=_KEPT_BYTES)
        scorer, cached = self._shared[key]
        return Ranker(
            name, spec, Reranker(scorer=scorer, **ranking), Reranker(scorer=cached, **ranking)
        )


def _ready(name: str, spec: str, reranker: Reranker) -> Ranker:
    """A ranker that was made already; a cache in front of it would time nothing but itself."""
    scorer = reranker.options.get("scorer")
    if not isinstance(scorer, Cached):
        return Ranker(name, spec, reranker)
    own = {key: each for key, each in reranker.options.items() if key != "scorer"}
    return Ranker(name, spec, Reranker(scorer=scorer.behind, **own), reranker)


def _split(spec: str) -> list[str]:
    """The parts between commas that are in no brackets."""
    return [each.strip() for each in re.split(r",(?![^{\[]*[}\]])", spec)]


def _option(spec: str, part: str) -> tuple[str, Any]:
    name, equals, value = part.partition("=")
    if not equals:
        raise InvalidRequestError(f"{spec!r}: {part!r} must be an option, as name=value")
    try:
        return name.strip(), json.loads(value)
    except ValueError:
        return name.strip(), value.strip()


def _remote(name: str, spec: str, target: str, options: dict[str, Any]) -> Ranker:
    protocol, _, url = target.partition("+")
    if protocol not in PROTOCOLS:
        raise InvalidRequestError(
            f"{spec!r}: {protocol!r} is no protocol; expected one of {sorted(PROTOCOLS)}"
        )
    unknown = options.keys() - _SERVER - _RANKING
    if unknown:
        raise InvalidRequestError(
            f"{spec!r}: no such options: {sorted(unknown)}; expected some of "
            f"{sorted(_SERVER | _RANKING)}"
        )
    server = {each: value for each, value in options.items() if each in _SERVER}
    variable = server.pop("key_env", None)
    if variable is not None and not os.environ.get(str(variable)):
        raise InvalidRequestError(
            f"{name}: key_env={variable} names no environment variable that is set; set it to the "
            "server's key"
        )
    scorer = Remote(
        url, protocol=protocol, key=os.environ.get(str(variable)) if variable else None, **server
    )
    ranking = {each: value for each, value in options.items() if each in _RANKING}
    return Ranker(name, spec, Reranker(scorer=scorer, **ranking))
