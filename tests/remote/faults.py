"""Rankings by a server that fails, and changes to its answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from protocols.strategies import SHAPES
from rankings import order
from remote.calling import remote
from remote.loopback import Loopback

from resift import Reranker

KEY = "sk-1234567890abcdef"
QUERY = "what does the treasurer earn"
TEXTS = ["3", "1", "2"]
NAMES = [shape.name for shape in SHAPES]


def ranked(server: Loopback, **options: Any) -> list[int]:
    return order(Reranker(scorer=remote(server, key=KEY, **options)).rank(QUERY, TEXTS))


def items_of(said: Any) -> list[Any]:
    """The list of scores in an answer, whatever its shape."""
    if isinstance(said, list):
        return said
    if "outputs" in said:
        (output,) = said["outputs"]
        return output["data"]  # type: ignore[no-any-return]
    if "rankings" in said:
        said = said["rankings"][0]
    return next(said[name] for name in ("results", "data", "scores") if name in said)


def with_value(place: int, **values: Any) -> Callable[[Any], Any]:
    def change(said: Any) -> Any:
        item = items_of(said)[place]
        if isinstance(item, float):
            (items_of(said)[place],) = values.values()
            return said
        for name, value in values.items():
            keys = [each for each in item if name in each or (name == "score" and each == "logit")]
            for key in keys:
                item[key] = value
        return said

    return change
