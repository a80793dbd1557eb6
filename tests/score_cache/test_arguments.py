"""Arguments of ``Cached``: those that are refused, and how it shows them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from numbers_scorer import Numbers

from resift import InvalidRequestError
from resift.scoring import Cached, Local


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_bytes": 0}, "max_bytes"),
        ({"max_bytes": 1.5}, "max_bytes"),
        ({"max_bytes": None}, "max_bytes"),
        ({"folder": 3}, "folder"),
    ],
)
def test_invalid_arguments_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        Cached(Numbers(), **options)
    with pytest.raises(InvalidRequestError, match="scorer"):
        Cached("resift-small")  # type: ignore[arg-type]


def test_it_shows_how_it_was_made(tmp_path: Path) -> None:
    assert repr(Cached(Local())) == "Cached(Local('resift-small'), max_bytes=67108864)"
    shown = repr(Cached(Local(), max_bytes=9, folder=tmp_path))
    assert shown == f"Cached(Local('resift-small'), max_bytes=9, folder={str(tmp_path)!r})"
