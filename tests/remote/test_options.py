"""Options of ``Remote`` that are refused."""

from __future__ import annotations

from typing import Any

import pytest

from resift import BackendUnavailableError, InvalidRequestError
from resift.scoring import Remote


@pytest.mark.parametrize(
    "options",
    [
        {"url": "ftp://x"},
        {"url": "example.com"},
        {"url": 7},
        {"url": "http://me:pw@host"},
        {"url": "http://host:99999"},
        {"protocol": "kserve-v2"},
        {"protocol": "thrift"},
        {"protocol": None},
        {"protocol": "cohere"},
        {"timeout": 0},
        {"attempts": 0},
        {"concurrency": None},
        {"window": 4, "step": 5},
        {"key": "two words"},
        {"key": 7},
        {"model": ""},
        {"client": "http"},
    ],
    ids=str,
)
def test_invalid_options_are_refused(options: dict[str, Any]) -> None:
    given = {"url": "http://127.0.0.1:9", "protocol": "tei", **options}
    with pytest.raises(InvalidRequestError) as raised:
        Remote(given.pop("url"), **given)
    assert "pw" not in str(raised.value)


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resift.scoring.remote.server.find_spec", lambda name: None)
    with pytest.raises(BackendUnavailableError, match=r"pip install 'resift\[remote\]'"):
        Remote("http://127.0.0.1:9", protocol="tei")
