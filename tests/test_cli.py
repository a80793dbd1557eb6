"""``resift rank`` as scripts see it."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from resift import Reranker
from resift.cli.main import main

DOCUMENTS = ["bad", "good", "a b"]


@pytest.fixture
def base(tiny: Path) -> list[str]:
    return ["rank", "--model", str(tiny)]


def test_the_table_has_ranks_scores_and_counts(
    base: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*base, "a", *DOCUMENTS, "\x1b[2Jgood\tw1"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert [line.split()[2] for line in lines[1:5]] == ["1", "3", "2", "0"]
    assert "4 of 4 documents, 0 truncated;" in lines[5]
    assert "\x1b" not in out
    assert err == ""


def test_json_has_the_ranking_and_its_documents(
    base: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*base, "-q", "a", *DOCUMENTS, "-n", "2", "--format", "json"]) == 0
    content = json.loads(capsys.readouterr().out)
    assert [result["document"] for result in content["results"]] == ["good", "a b"]
    assert content["status"] == "complete"
    assert content["counts"]["documents"] == 3


def test_queries_and_documents_are_read_from_files(
    base: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "query").write_text("a\n", encoding="utf-8")
    lines = [json.dumps("good\u2028w1"), "", json.dumps({"text": "bad", "id": 7})]
    (tmp_path / "jsonl").write_text("\n".join(lines), encoding="utf-8")
    files = ["--query-file", str(tmp_path / "query"), "-f", str(tmp_path / "jsonl"), "--jsonl"]
    assert main([*base, *files, "--format", "json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert [result["document"] for result in results] == ["good\u2028w1", "bad"]


def test_documents_are_read_from_standard_input(base: list[str]) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from resift.cli.main import main; sys.exit(main())",
            *base,
            "a",
        ],
        input="bad\n\ngood\n",
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[-1] for line in done.stdout.splitlines()[1:3]] == ["good", "bad"]
    assert done.stderr == ""


NOT_UTF8 = {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX"}


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_documents_beyond_the_locales_encoding_are_ranked(
    base: list[str], tmp_path: Path, encoding: str
) -> None:
    documents = ["good Öl über Łódź", "bad \u4f60\u597d"]
    (tmp_path / "file").write_text("\n".join(documents), encoding="utf-8")
    program = "import sys; from resift.cli.main import main; sys.exit(main())"
    environment = {**os.environ, **NOT_UTF8}
    if encoding != "ascii":
        environment["PYTHONIOENCODING"] = encoding

    def rank(*arguments: str | bytes, given: bytes = b"") -> str:
        done = subprocess.run(
            [sys.executable, "-c", program, *base, "a", *arguments],
            env=environment,
            input=given,
            capture_output=True,
        )
        assert (done.returncode, done.stderr) == (0, b"")
        return done.stdout.decode(encoding)

    table = rank("-f", str(tmp_path / "file"))
    escaped = documents[0].encode(encoding, "backslashreplace").decode(encoding)
    assert escaped in table
    assert "\\u4f60" in table
    assert rank(*(each.encode() for each in documents)).splitlines()[:3] == table.splitlines()[:3]
    # As files are, standard input is UTF-8; and JSON stays JSON.
    content = rank("-f", "-", "--format", "json", given="\n".join(documents).encode())
    assert [each["document"] for each in json.loads(content)["results"]] == documents


@pytest.mark.skipif(os.name != "posix", reason="only POSIX has arguments in bytes")
def test_arguments_that_are_not_utf8_are_refused(
    base: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*base, "a", os.fsdecode(b"gr\xf6\xdfe")])
    assert ended.value.code == 2
    assert r"expected UTF-8, not 'gr\udcf6\udcdfe'" in capsys.readouterr().err


def test_standard_outputs_error_handler_is_restored(
    base: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    written = io.BytesIO()
    out = io.TextIOWrapper(written, encoding="ascii", errors="strict", write_through=True)
    monkeypatch.setattr(sys, "stdout", out)
    assert main([*base, "a", "good ö"]) == 0
    assert out.errors == "strict"
    assert rb"good \xf6" in written.getvalue()


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (["a", "good", "-t", "1.0"], 1, ""),
        ([" ", "good"], 2, "query must not be empty"),
        (["a", "good", "-n", "0"], 2, "top_n"),
        (["a", "-f", "no-such-file"], 2, "no-such-file"),
        (["a", "good", "--max-length", "999"], 2, "max_length=999"),
        (["a", "good", "--backend", "abacus"], 2, "abacus"),
        (["a", "good", "--model", "no-such-model"], 3, "no-such-model"),
        (["a", "nan"], 3, "NaN"),
    ],
)
def test_the_exit_status_tells_what_happened(
    base: list[str],
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    status: int,
    message: str,
) -> None:
    assert main([*base, *arguments]) == status
    assert message in capsys.readouterr().err


def test_invalid_json_is_named_by_file_and_line(
    base: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "lines"
    for line in ("{", '{"body": 1}', "3"):
        path.write_text(f'"good"\n{line}\n', encoding="utf-8")
        assert main([*base, "a", "-f", str(path), "--jsonl"]) == 2
        assert f"{path}:2" in capsys.readouterr().err


def test_every_option_that_is_data_has_a_flag() -> None:
    import inspect

    from resift.cli.main import _parser

    parsed = _parser().parse_args(["rank", "a"])
    # A token on the command line would be seen in the list of processes: HF_TOKEN has it.
    elsewhere = {"on_timing", "scorer", "token"}
    assert set(inspect.signature(Reranker).parameters) - elsewhere <= set(vars(parsed))
    assert not elsewhere & set(vars(parsed))


def test_several_devices_can_be_given(base: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--devices", "cpu", "--devices", "cpu", "--format", "json"]
    assert main([*base, "a", "good", *options]) == 0
    assert json.loads(capsys.readouterr().out)["device"] == "cpu, cpu"


def test_an_unknown_option_is_refused(base: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*base, "a", "good", "--topn", "3"])
    assert caught.value.code == 2


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a terminal")
def test_progress_is_shown_on_terminals_only(tiny: Path) -> None:
    import termios

    program = (
        "import sys, time; from resift.cli.main import main;"
        "from resift.backends.onnx import OnnxBackend as B; f = B.forward;"
        "B.forward = lambda self, batch: (time.sleep(0.3), f(self, batch))[1];"
        "B.max_batch_tokens = 1;"
        "sys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", program, "rank", "-m", str(tiny), "a", *DOCUMENTS, "w1"]
    leader, follower = os.openpty()
    termios.tcsetwinsize(follower, (24, 80))
    done = subprocess.run(command, stderr=follower, stdout=subprocess.DEVNULL)
    shown = os.read(leader, 10_000).decode()
    os.close(follower)
    os.close(leader)
    assert done.returncode == 0
    assert "pair" in shown
