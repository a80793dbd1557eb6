"""Requests as the engine takes them: decoded, checked against the limits, and what was ignored."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from resift.calibrations import is_path
from resift.errors import InvalidRequestError
from resift.keywords import CallOptions
from resift.protocols import Shape, WireError, WireRequest, loads
from resift.protocols.routes import choose_shape
from resift.server.models import Served
from resift.server.refusals import RefusedError, too_large
from resift.server.settings import Limits

# All that a shape may say and the engine takes under the same name.
_OPTIONS = tuple(
    each.name for each in fields(WireRequest) if each.name in CallOptions.__annotations__
)
_UNPRINTABLE = re.compile(r"[^A-Za-z0-9_.\-]")
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class Asked:
    """A request to rank, in its shape."""

    shape: Shape
    request: WireRequest

    @classmethod
    def read(cls, path: str, raw: bytes) -> Asked:
        """Decode a body. Raises ``RefusedError`` (400) for no JSON, and ``WireError``."""
        try:
            body = loads(raw)
        except WireError as error:
            raise RefusedError(400, str(error)) from None
        shape = choose_shape(path, body)
        request = shape.decode_request(body)
        if shape.tells_all and request.extra:
            # resift's own clients misspelt it.
            raise WireError(
                f"there is no key {sorted(request.extra)[0]!r}; expected queries and some of "
                f"{sorted(shape.speaks)}"
            )
        return cls(shape, request)

    @property
    def pairs(self) -> int:
        """The number of its documents."""
        return sum(len(each.documents) for each in self.request.queries)

    @property
    def characters(self) -> int:
        """The number of characters of its queries and documents."""
        queries = self.request.queries
        return sum(len(q.query) + sum(len(d or "") for d in q.documents) for q in queries)

    @property
    def needs_all(self) -> bool:
        """Whether its client needs a number for every document."""
        return self.shape.needs_all and self.request.top_n is None

    @property
    def forbids_cutting(self) -> bool:
        """Whether a pair that is too long is to be refused.

        Clients that send all of TEI's defaults, as LiteLLM does, also name a side to cut.
        """
        return self.request.truncate is False and self.request.truncation_side is None

    def check(self, limits: Limits) -> None:
        """Raise ``RefusedError`` (413) for what is beyond a limit."""
        queries = self.request.queries
        if not queries:
            raise WireError("requests must have one query at least")
        _within("queries", len(queries), limits.queries)
        _within("documents", self.pairs, limits.documents)
        for place, each in enumerate(queries):
            at = f" of query {place}" if len(queries) > 1 else ""
            size = len(each.query)
            _within(f"characters of the query{at}", size, limits.query_characters)
            for index, text in enumerate(each.documents):
                if text is not None and len(text) > limits.document_characters:
                    named = f"characters of documents[{index}]{at}"
                    _within(named, len(text), limits.document_characters)

    def options(self, deadline_ms: float | None) -> dict[str, Any]:
        """The options of the call; ``deadline_ms`` is that of the header."""
        found = {name: getattr(self.request, name) for name in _OPTIONS}
        if not self.shape.tells_all and found["normalization"] == "sigmoid":
            # The word for "not raw", which is for the model's own default to say.
            found["normalization"] = None
        named = found["normalization"]
        if isinstance(named, str) and is_path(named):
            # Nobody reads this machine's files by asking.
            raise InvalidRequestError(
                f"normalization must be a name or an object, and not the path {named[:80]!r}"
            )
        if deadline_ms is not None:
            found["deadline_ms"] = min(deadline_ms, found["deadline_ms"] or deadline_ms)
        return {name: value for name, value in found.items() if value is not None}

    def ignored(self, served: Served) -> list[str]:
        """The keys that changed nothing."""
        request = self.request
        found = list(request.extra)
        if request.max_query_tokens is not None:
            found.append("max_tokens_per_query")
        if request.truncation_side == "left":
            found.append("truncation_direction" if self.shape.name == "tei" else "truncation_side")
        if request.truncate is False and not self.forbids_cutting:
            found.append("truncate")
        if request.model not in (None, served.name, *served.aliases):
            found.append("model")
        return [_UNPRINTABLE.sub("?", each[:60]) for each in found[:_MOST_NAMED]]

    def calls(self) -> tuple[list[tuple[str, Iterable[str | None]]], list[Any]]:
        """The requests for ``arank_many``, and the first stage's scores of each."""
        queries = self.request.queries
        scores = [each.first_stage_scores for each in queries]
        return [(each.query, each.documents) for each in queries], scores


def deadline_of(header: str | None) -> float | None:
    """The milliseconds that the header ``x-resift-deadline-ms`` gives."""
    if header is None:
        return None
    try:
        found = float(header)
    except ValueError:
        found = float("nan")
    if not 0 < found < float("inf"):
        raise InvalidRequestError(
            f"x-resift-deadline-ms must be milliseconds above 0, not {header[:40]!r}"
        )
    return found


def _within(name: str, found: int, most: int) -> None:
    if found > most:
        raise too_large(f"{found} {name} are more than the {most} that are accepted; send fewer")
