"""Servers that are slow, silent or gone."""

from __future__ import annotations

import logging

import pytest
from remote.faults import ranked
from remote.loopback import Loopback, Reply, TestClock, serve

from resift import RemoteUnavailableError


def test_a_silent_server_times_out(server: Loopback) -> None:
    def hold(reply: Reply) -> Reply:
        server.ended.wait(5)
        return reply

    server.always = hold
    with pytest.raises(RemoteUnavailableError, match=r"within 0\.05 s"):
        ranked(server, timeout=0.05, attempts=1)


def test_a_server_that_drips_times_out(tei: Loopback) -> None:
    tei.always = lambda reply: Reply(reply.body * 20, drip=0.02)
    with pytest.raises(RemoteUnavailableError, match=r"within 0\.1 s"):
        ranked(tei, timeout=0.1, attempts=1)


def test_a_body_that_never_comes_times_out(tei: Loopback) -> None:
    tei.always = lambda reply: Reply(reply.body, headers={"Content-Length": "9999"})
    with pytest.raises(RemoteUnavailableError, match="within"):
        ranked(tei, timeout=0.05, attempts=1)


def test_what_a_server_says_about_itself_is_not_waited_for(
    tei: Loopback, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("resift.scoring.remote.server._ABOUT", 0.05)
    tei.silent = True
    assert ranked(tei) == [0, 2, 1]
    assert "nothing about itself within 0.05 s" in caplog.text


def test_nobody_there() -> None:
    with serve("tei") as gone:
        pass
    with pytest.raises(RemoteUnavailableError, match="can't be reached"):
        ranked(gone, clock=TestClock())
