"""The command ``resift compare-server``, and its report."""

from __future__ import annotations

import json

import pytest
from compare_server.planted import MODEL, Planted, compared, served, softmax
from remote.loopback import failing

from resift import InvalidRequestError, Reranker
from resift.cli.main import main
from resift.compare import compare_server


def test_the_command(
    small: Reranker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RERANK_KEY", "my-secret-key")
    with served("cohere", Planted(small)) as server:
        words = ["compare-server", server.url, "--protocol", "cohere", "--remote-model", MODEL]
        assert main([*words, "--key-env", "RERANK_KEY", "--format", "json"]) == 0
        written = json.loads(capsys.readouterr().out)
        assert written["status"] == "same"
        assert written["model"] == "resift-small"
        assert {each["verdict"] for each in written["findings"]} == {"same"}
        assert {each["authorization"] for each in server.headers} == {"Bearer my-secret-key"}
        assert main([*words, "--model", "resift-nano"]) == 1
        table = capsys.readouterr().out
        assert "another model" in table
        assert "do: give --model" in table
        assert table.rstrip().endswith("requests")
        server.always = failing("cohere", 401, "who are you")
        assert main(words) == 3
        assert "who are you" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["http://127.0.0.1:1", "--protocol", "cohere"],
        ["http://127.0.0.1:1", "--protocol", "tei", "--key-env", "NO_SUCH_VARIABLE"],
        ["not an address", "--protocol", "tei"],
        ["http://127.0.0.1:1", "--protocol", "tei", "--timeout", "0"],
    ],
)
def test_a_wrong_call_is_said(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare-server", *words]) == 2
    assert capsys.readouterr().err.startswith("resift: ")


def test_a_protocol_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="protocol must be one of"):
        compare_server("http://127.0.0.1:1", protocol="smoke-signals")


def test_a_report_has_no_control_characters(small: Reranker) -> None:
    with served("jina", Planted(small)) as server:
        server.always = failing("jina", 400, "\x1b[31mred")
        text = compared(server, small).to_text()
    assert "red" in text
    assert "\x1b" not in text


def test_the_json_of_a_report_is_json(small: Reranker) -> None:
    with served("jina", Planted(small, plain=softmax)) as server:
        report = compared(server, small)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["status"] == "differs"
