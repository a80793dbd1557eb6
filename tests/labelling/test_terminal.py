"""``resift label`` in a terminal, by keys."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from labelling.judged import HOSTILE, TEXTS, graded, rows, write

pty = pytest.importorskip("pty", reason="no pseudo-terminals")

# Whoever runs the tests may have them ignore SIGINT, as shells do with what runs behind them.
_RESIFT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from resift.cli.main import main
sys.exit(main())
"""
_PROMPT = "\n> "


class Terminal:
    """A terminal with ``resift label`` in it."""

    def __init__(self, *arguments: str, term: str, columns: int, lines: int) -> None:
        self.end, theirs = pty.openpty()
        size = {"COLUMNS": str(columns), "LINES": str(lines)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _RESIFT, "label", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**os.environ, **size, "TERM": term, "PYTHONUTF8": "1"},
            start_new_session=True,
        )
        os.close(theirs)
        self._read = b""

    def screen(self) -> str:
        """Read what is written up to the next prompt."""
        return self._until(lambda text: text.endswith(_PROMPT))

    def press(self, keys: str) -> str:
        """Press keys one by one; the screen after the last."""
        shown = ""
        for key in keys:
            os.write(self.end, key.encode())
            shown = self.screen()
        return shown

    def quit(self, key: str = "q") -> str:
        """Press a key, or none; all that is written until the command has ended."""
        os.write(self.end, key.encode())
        rest = self._until(lambda _: False)
        assert self.process.wait(60) == 0, rest
        return rest

    def _until(self, is_enough: Callable[[str], bool]) -> str:
        start, text = time.monotonic(), ""
        while time.monotonic() < start + 60:
            if select.select([self.end], [], [], 0.2)[0]:
                try:
                    read = os.read(self.end, 65536)
                except OSError:  # Linux's way to say that nobody is there any more.
                    read = b""
                if not read:
                    break
                self._read += read
                text = self._read.decode("utf-8", "ignore").replace("\r\n", "\n")
            elif is_enough(text):
                break
        self._read = b""
        return text


Open = Callable[..., Terminal]


@pytest.fixture
def terminal() -> Iterator[Open]:
    """Opens terminals, and ends what is left in them."""
    opened = []

    def made(
        *arguments: object, term: str = "dumb", columns: int = 70, lines: int = 24
    ) -> Terminal:
        opened.append(Terminal(*map(str, arguments), term=term, columns=columns, lines=lines))
        return opened[-1]

    yield made
    for each in opened:
        each.process.kill()
        each.process.wait()
        os.close(each.end)


def test_pairs_are_judged_by_single_keys(terminal: Open, tmp_path: Path) -> None:
    found, out = (
        write(tmp_path / "found.jsonl", texts=["one", "two", "three"]),
        tmp_path / "l.jsonl",
    )
    here = terminal(found, "--out", out, "--by", "anna")
    assert "0 of 3 done." in here.screen()
    assert "1 of 3 done. Saved: 2." in here.press("2")
    # Each judgement is in the file at once.
    assert [row["grade"] for row in rows(out)] == [2]
    assert "1 of 3 done, 1 skipped. Skipped." in here.press("s")
    # What means nothing does nothing: other keys, an arrow.
    os.write(here.end, b"x7\x1b[A")
    os.write(here.end, b"u")
    here.screen()
    assert "Again: it has the grade 2" in here.press("u")
    here.press("3")
    last = here.quit("0")
    assert "2 of 3 pairs have a grade, 1 skipped" in last
    assert [row["grade"] for row in rows(out)] == [2, 3, 0]
    assert {row["by"] for row in rows(out)} == {"anna"}
    assert len({row["document_id"] for row in rows(out)}) == 2


def test_texts_act_on_nothing_and_words_are_marked(terminal: Open, tmp_path: Path) -> None:
    found, out = write(tmp_path / "found.jsonl", texts=[HOSTILE]), tmp_path / "labels.jsonl"
    shown = terminal(found, "--out", out, columns=200).screen()
    assert "\\x1b[2J\\x1b]0;owned\\x07 \\u202eevil" in shown
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", shown)
    capable = terminal(
        write(tmp_path / "f.jsonl", texts=TEXTS[:1]), "--out", tmp_path / "o", term="xterm"
    )
    shown = capable.screen()
    assert shown.startswith("\x1b[H\x1b[2J")
    assert "\x1b" not in shown[len("\x1b[H\x1b[2J") :]
    assert "Use sorted with a key to *sort* a *dict*." in shown


def test_long_documents_are_paged(terminal: Open, tmp_path: Path) -> None:
    found = write(tmp_path / "found.jsonl", texts=["start " + "word " * 400 + "the end"])
    here = terminal(found, "--out", tmp_path / "labels.jsonl", columns=40, lines=20)
    shown = here.screen()
    pages = int(re.findall(r"Page 1 of (\d+)", shown)[0])
    assert pages > 3
    seen = shown
    for page in range(2, pages + 1):
        assert len(shown.rstrip("> ").splitlines()) <= 20
        assert all(len(line) <= 66 for line in shown.splitlines())
        shown = here.press(" ")
        assert f"Page {page} of {pages}" in shown
        seen += shown
    assert seen.count("word") == 400
    assert "the end" in shown
    assert "That was the last page." in here.press(" ")
    assert f"Page {pages - 1} of {pages}" in here.press("b")
    here.quit()


def test_other_grades(terminal: Open, tmp_path: Path) -> None:
    found, out = write(tmp_path / "found.jsonl", texts=["one"]), tmp_path / "labels.jsonl"
    here = terminal(found, "--out", out, "--grades", "0,5")
    assert "\n0   5   u back   s skip   q quit\n> " in here.screen()
    os.write(here.end, b"1")
    here.quit("5")
    assert [row["grade"] for row in rows(out)] == [5]


@pytest.mark.parametrize("end", ["q", "\x04", ""], ids=["q", "end", "interrupt"])
def test_leaving_restores_the_terminal(terminal: Open, tmp_path: Path, end: str) -> None:
    import termios

    found, out = write(tmp_path / "found.jsonl"), tmp_path / "labels.jsonl"
    here = terminal(found, "--out", out)
    before = termios.tcgetattr(here.end)
    here.screen()
    assert not termios.tcgetattr(here.end)[3] & termios.ICANON
    here.press("1")
    if not end:
        # Ctrl-C in this terminal would send no signal, as it isn't the controlling one; it would
        # only drop what is on its way.
        here.process.send_signal(signal.SIGINT)
    assert "1 of 4 pairs have a grade" in here.quit(end)
    assert termios.tcgetattr(here.end)[3] == before[3] | termios.ICANON
    assert len(rows(out)) == 1


def test_killed_at_any_time_it_goes_on_where_it_was(terminal: Open, tmp_path: Path) -> None:
    found, out = (
        write(tmp_path / "found.jsonl", 10, ["one", "two", "three"]),
        tmp_path / "labels.jsonl",
    )
    done = 0
    for keys in (1, 7, 18):
        here = terminal(found, "--out", out)
        assert f"{done} of 30 done." in here.screen()
        # Typed ahead, so that it is killed in the middle of its work.
        os.write(here.end, b"2" * keys)
        enough = min(done + keys, 30) - keys // 3
        while len(out.read_bytes().splitlines()) < enough:
            time.sleep(0.002)
        here.process.kill()
        here.process.wait()
        labelled = graded(out)
        assert len(set(labelled)) == len(labelled) >= enough
        done = len(labelled)
    here = terminal(found, "--out", out)
    if done < 30:
        here.screen()
        os.write(here.end, b"2" * (30 - done))
    here._until(lambda _: False)
    assert here.process.wait(60) == 0
    assert len(set(graded(out))) == len(graded(out)) == 30


def test_without_a_terminal_it_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _RESIFT,
            "label",
            str(write(tmp_path / "f.jsonl")),
            "--out",
            "l.jsonl",
        ],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
    assert "--browser" in done.stderr
    assert not (tmp_path / "l.jsonl").exists()
