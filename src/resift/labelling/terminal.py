"""Labelling in a terminal, be it a dumb one: keys are read one by one, and lines are written."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from resift.errors import InvalidRequestError
from resift.labelling.session import Session
from resift.labelling.shown import escaped, marked, wrapped

_CLEAR = "\x1b[H\x1b[2J"
# What arrows and their like send, which means nothing here.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]?|O.?|.)?")
_END = "\x04"


def require_terminal() -> None:
    """Raise ``InvalidRequestError`` where standard input or output isn't a terminal."""
    try:
        import termios as _  # noqa: F401
    except ImportError:
        raise InvalidRequestError(
            "this system has no terminal of that kind; give --browser"
        ) from None
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise InvalidRequestError(
            "--terminal needs a terminal as standard input and output; give --browser for a page"
        )


def label_in_terminal(session: Session) -> None:
    """Show pair after pair until the pool or the person is done."""
    dumb = os.environ.get("TERM", "dumb") in ("", "dumb", "unknown")
    with _keys(sys.stdin.fileno()) as keys:
        try:
            _Screen(session, sys.stdout, keys, _dashes if dumb else lambda: _CLEAR).run()
        except KeyboardInterrupt:
            # What was judged is in the file.
            sys.stdout.write("\n")


def _dashes() -> str:
    return f"\n{'-' * min(_width(), 72)}\n"


def _width() -> int:
    return max(shutil.get_terminal_size().columns, 20)


@contextmanager
def _keys(descriptor: int) -> Iterator[Iterator[str]]:
    """The keys that are pressed, without waiting for the end of a line."""
    import termios
    import tty

    before = termios.tcgetattr(descriptor)
    tty.setcbreak(descriptor)

    def pressed() -> Iterator[str]:
        while True:
            read = os.read(descriptor, 64).decode("ascii", "replace")
            if not read:
                return
            yield from _SEQUENCE.sub("", read)

    try:
        yield pressed()
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class _Screen:
    """A session's pair on the screen, a page at a time, and what keys do to it."""

    def __init__(
        self, session: Session, out: TextIO, keys: Iterator[str], cleared: Callable[[], str]
    ) -> None:
        self._session, self._out, self._keys, self._cleared = session, out, keys, cleared
        self._page, self._note = 0, ""

    def run(self) -> None:
        """Ask until there is nothing to ask for, or ``q`` is pressed."""
        while (at := self._session.at) is not None:
            pages = self._pages(at)
            self._page = min(self._page, len(pages) - 1)
            self._show(at, pages)
            for key in self._keys:
                if self._is_key(key):
                    break
            else:
                return
            self._note = ""
            if key in ("q", _END):
                return
            if key in " \n":
                if self._page + 1 == len(pages):
                    self._note = "That was the last page."
                self._page = min(self._page + 1, len(pages) - 1)
            elif key == "b":
                self._page = max(self._page - 1, 0)
            else:
                self._judge(at, key)

    def _is_key(self, key: str) -> bool:
        return key in ("q", _END, " ", "\n", "b", "u", "s", *map(str, self._session.grades))

    def _judge(self, at: int, key: str) -> None:
        self._page = 0
        if key == "u":
            self._note = "" if self._session.back() else "There is nothing before this."
        elif key == "s":
            self._session.skip(at)
            self._note = "Skipped."
        else:
            self._session.grade(at, int(key))
            self._note = f"Saved: {key}."

    def _pages(self, at: int) -> list[list[str]]:
        pair, width = self._session.pair(at), _width()
        # Beside the head, the foot, and lines of both that are wrapped.
        height = max(shutil.get_terminal_size().lines - 9, 3)
        query = escaped(pair.query)
        lines = ["Query:", *_indented(query, width), "", "Document:"]
        text = "".join(
            f"*{part}*" if is_word else part
            for part, is_word in marked(escaped(pair.document), query)
        )
        lines += _indented(text, width)
        return [lines[start : start + height] for start in range(0, len(lines), height)]

    def _show(self, at: int, pages: list[list[str]]) -> None:
        session, width = self._session, _width()
        skipped = f", {len(session.skipped)} skipped" if session.skipped else ""
        head = [f"{session.done} of {len(session.pairs)} done{skipped}. {self._note}".strip()]
        given = session.given(at)
        if given is not None:
            head += [f"Again: it has the grade {given}, and keeps it unless you give another."]
        foot = [""]
        if len(pages) > 1:
            foot += [
                f"Page {self._page + 1} of {len(pages)}: space for the next, b for the one before"
            ]
        foot += wrapped(_offered(session), width)
        # Lines as they are: what the encoding lacks has been seen to by the command.
        lines = [*head, "", *pages[self._page], *foot]
        self._out.write(self._cleared() + "\n".join(lines) + "\n> ")
        self._out.flush()


def _indented(text: str, width: int) -> list[str]:
    return [f"  {line}" for line in wrapped(text, width - 2)]


def _offered(session: Session) -> str:
    grades = [f"{grade} {session.meaning(grade)}".strip() for grade in session.grades]
    return "   ".join([*grades, "u back", "s skip", "q quit"])
