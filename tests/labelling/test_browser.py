"""``resift label --browser``, in a real browser and by hand-made requests."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from labelling.judged import HOSTILE, QUERY, TEXTS, graded, rows, write
from server import chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_RESIFT = "import sys; from resift.cli.main import main; sys.exit(main())"


@dataclass
class Served:
    """A process that serves the page."""

    process: subprocess.Popen[str]
    url: str

    def ask(self, path: str = "state", body: Any = None, **headers: str) -> tuple[int, Any]:
        """The status of an answer, and its JSON."""
        address = urlsplit(self.url)
        connection = http.client.HTTPConnection(address.netloc, timeout=30)
        whole = path if path.startswith("/") else address.path + path
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST" if body is not None else "GET", whole, body, given)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        is_json = answer.headers["Content-Type"] == "application/json"
        return answer.status, json.loads(content) if is_json else content


Serve = Callable[..., Served]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Starts ``resift label --browser``."""
    started = []

    def start(*arguments: object) -> Served:
        process = subprocess.Popen(
            [sys.executable, "-c", _RESIFT, "label", "--browser", *map(str, arguments)],
            stdout=subprocess.PIPE,
            encoding="utf-8",
            env={**os.environ, "PYTHONUTF8": "1"},
        )
        started.append(process)
        assert process.stdout
        return Served(process, process.stdout.readline().strip())

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium."""
    with chromium.started() as browser:
        yield browser


def press(page: Page, key: str) -> None:
    """Press a key, and wait until it is answered: what is pressed meanwhile is ignored."""
    page.keyboard.press(key)
    page.locator("#controls:not([aria-busy])").wait_for(state="attached")


def counted(page: Page, text: str) -> None:
    page.locator("#counted", has_text=text).wait_for()


def test_by_keyboard_alone_and_over_a_kill(browser: Browser, serve: Serve, tmp_path: Path) -> None:
    found, out = write(tmp_path / "found.jsonl", 2), tmp_path / "labels.jsonl"
    served = serve(found, "--out", out, "--by", "anna")
    with chromium.opened(browser, served.url) as page:
        counted(page, "0 of 8 done")
        assert page.locator("#query").inner_text() == QUERY
        press(page, "2")
        counted(page, "1 of 8 done")
        assert [row["grade"] for row in rows(out)] == [2]
        press(page, "s")
        counted(page, "1 of 8 done, 1 skipped")
        press(page, "u")
        press(page, "u")
        page.locator("#status", has_text="It has the grade 2").wait_for()
        assert page.locator("[aria-pressed=true]").inner_text().startswith("2")
        press(page, "3")
        page.locator("#status", has_text="Saved: 3.").wait_for()
        # By tabs and the space bar, without the keys on the buttons.
        page.locator("#grades button[data-grade='1']").focus()
        press(page, "Space")
        counted(page, "2 of 8 done")
        served.process.kill()
        served.process.wait()
        press(page, "0")
        page.get_by_role("alert").filter(has_text="nothing was saved").wait_for()
    assert [row["grade"] for row in rows(out)] == [2, 3, 1]
    served = serve(found, "--out", out, "--by", "anna")
    with chromium.opened(browser, served.url) as page:
        for done in range(2, 8):
            counted(page, f"{done} of 8 done")
            press(page, "0")
        page.locator("#status", has_text="There is nothing more to ask.").wait_for()
        press(page, "q")
        page.locator("#status", has_text="All is saved").wait_for()
    rest, _ = served.process.communicate(timeout=60)
    assert served.process.returncode == 0
    assert "8 of 8 pairs have a grade" in rest
    last = {(query, document): grade for query, document, grade in graded(out)}
    assert len(last) == 8
    assert sorted(last.values()) == [0] * 6 + [1, 3]
    assert {row["by"] for row in rows(out)} == {"anna"}


def test_texts_are_texts(browser: Browser, serve: Serve, tmp_path: Path) -> None:
    served = serve(write(tmp_path / "found.jsonl"), "--out", tmp_path / "labels.jsonl")
    seen = set()
    with chromium.opened(browser, served.url) as page:
        for done in range(4):
            counted(page, f"{done} of 4 done")
            document = page.locator("#document")
            seen.add(document.evaluate("each => each.textContent"))
            assert document.locator(":not(mark)").count() == 0
            if "Use sorted" in document.inner_text():
                assert document.locator("mark").all_inner_texts() == ["sort", "dict"]
                mark = document.locator("mark").first
                style = mark.evaluate("each => getComputedStyle(each).textDecorationLine")
                assert style == "underline"
            press(page, "1")
        counted(page, "4 of 4 done")
    assert {TEXTS[0], TEXTS[2], TEXTS[3]} < seen
    (hostile,) = (text for text in seen if "<script>" in text)
    assert hostile.startswith("<img src=x onerror=alert(1)> \\x1b[2J")
    assert "\\u202eevil" in hostile


def test_keys_can_be_switched_off(browser: Browser, serve: Serve, tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    served = serve(write(tmp_path / "found.jsonl"), "--out", out)
    with chromium.opened(browser, served.url) as page:
        counted(page, "0 of 4 done")
        page.get_by_label("Keys on the buttons").uncheck()
        press(page, "1")
        press(page, "s")
        page.locator("#grades button[data-grade='3']").click()
        counted(page, "1 of 4 done")
    assert [row["grade"] for row in rows(out)] == [3]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_axe_finds_nothing(
    browser: Browser, serve: Serve, tmp_path: Path, scheme: Any, width: int
) -> None:
    from axe_playwright_python.sync_playwright import Axe

    served = serve(write(tmp_path / "found.jsonl"), "--out", tmp_path / "labels.jsonl")
    # It is put into the page, which the page forbids.
    with chromium.opened(browser, served.url, color_scheme=scheme, bypass_csp=True) as page:
        page.set_viewport_size({"width": width, "height": 900})
        counted(page, "0 of 4 done")
        for done in range(1, 5):
            results = Axe().run(page)
            assert results.violations_count == 0, results.generate_report()
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            press(page, "2")
            counted(page, f"{done} of 4 done")


def test_only_the_page_itself_is_answered(serve: Serve, tmp_path: Path) -> None:
    out = tmp_path / "labels.jsonl"
    served = serve(write(tmp_path / "found.jsonl"), "--out", out)
    assert urlsplit(served.url).hostname == "127.0.0.1"
    body = json.dumps({"do": "grade", "at": 0, "grade": 1})
    status, state = served.ask()
    assert (status, state["at"], state["total"]) == (200, 0, 4)
    # The ids, and so who found a document, aren't told.
    assert "d0" not in json.dumps(state)
    assert served.ask("/state")[0] == served.ask("/")[0] == served.ask("/wrong/state")[0] == 404
    assert served.ask("../../labels.py")[0] == served.ask("labels.py")[0] == 404
    assert served.ask(Host="elsewhere.example")[0] == 403
    assert served.ask(body=body, Origin="https://elsewhere.example")[0] == 403
    assert served.ask(body=body, Host="elsewhere.example")[0] == 403
    for wrong in (
        "{",
        "[]",
        "{}",
        '{"do": "grade", "at": 9, "grade": 1}',
        '{"do": "grade", "at": true, "grade": 1}',
        '{"do": "grade", "at": 0, "grade": 7}',
        '{"do": "grade", "at": 0, "grade": true}',
        '{"do": "skip", "at": -1}',
        json.dumps({"do": "x" * 20_000}),
    ):
        assert served.ask(body=wrong)[0] == 400, wrong
    assert rows(out) == []
    assert served.ask(body=body, Origin=served.url.rsplit("/", 2)[0])[1]["done"] == 1
    # The same again is the same.
    assert served.ask(body=body)[1]["done"] == 1
    assert {row["grade"] for row in rows(out)} == {1}


def test_the_page_may_load_nothing_from_elsewhere(serve: Serve, tmp_path: Path) -> None:
    served = serve(write(tmp_path / "found.jsonl", texts=[HOSTILE]), "--out", tmp_path / "l.jsonl")
    address = urlsplit(served.url)
    connection = http.client.HTTPConnection(address.netloc, timeout=30)
    connection.request("GET", address.path)
    answer = connection.getresponse()
    page = answer.read().decode()
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert "unsafe" not in answer.headers["Content-Security-Policy"]
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "http" not in page
    connection.close()
