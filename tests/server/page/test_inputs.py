"""Documents, files and options that the page at ``/`` is given, in a real browser."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from server.page.server import PageServer
from server.page.using import DOCUMENTS, QUERY, fill, options, rank, rows, status

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_a_model_is_not_compared_with_itself(page: Page, page_server: PageServer) -> None:
    fill(page, QUERY, DOCUMENTS)
    page.get_by_label("Beside it").select_option("resift-small")
    page.get_by_role("button", name="Rank", exact=True).click()
    page.get_by_role("alert").filter(has_text="Both models are resift-small").wait_for()
    assert page_server.bodies == []


def test_options_are_sent_as_they_are_given(page: Page, page_server: PageServer) -> None:
    fill(page, QUERY, DOCUMENTS)
    rank(page)
    assert page_server.bodies == [{"query": QUERY, "documents": DOCUMENTS, "return_cuts": True}]
    options(page, top_n="2", max_length="100", deadline_ms="60000.5", prior="0.5")
    options(page, long_documents="truncate", normalization="none", prune="off")
    rank(page)
    assert page_server.bodies[-1] == {
        **page_server.bodies[0],
        "top_n": 2,
        "max_length": 100,
        "deadline_ms": 60000.5,
        "prior": 0.5,
        "long_documents": "truncate",
        "normalization": "none",
        "prune": "off",
    }
    assert len(rows(page)) == 2
    assert "1 of 3 documents are left out" in page.locator("#results").inner_text()
    options(page, prior="auto")
    rank(page)
    assert page_server.bodies[-1]["prior"] == "auto"


def test_an_invalid_option_is_shown_where_it_is(page: Page, page_server: PageServer) -> None:
    fill(page, QUERY, DOCUMENTS)
    options(page, prior="much")
    page.locator("#options").evaluate("each => { each.open = false }")
    page.get_by_role("button", name="Rank", exact=True).click()
    page.locator("#prior:focus").wait_for()
    assert page_server.bodies == []


@pytest.mark.parametrize(
    ("form", "text", "expected"),
    [
        ("one a line", " a \n\n b\r\nc", ["a", "b", "c"]),
        ("blank lines between", "a\nb\n\n \n\nc\n\nd\n", ["a\nb", "c", "d"]),
        ("JSON Lines", '"a\\nb"\n\n{"text": "c", "id": 5}', ["a\nb", "c"]),
    ],
)
def test_documents_are_separated_as_chosen(
    page: Page, page_server: PageServer, form: str, text: str, expected: list[str]
) -> None:
    fill(page, QUERY, [], form)
    page.get_by_label("Documents, in the order").fill(text)
    assert page.locator("#counted").inner_text() == f"{len(expected)} documents"
    rank(page)
    assert page_server.bodies[0]["documents"] == expected


def upload(page: Page, lines: list[Any], name: str = "found.jsonl") -> None:
    text = "\ufeff" + "\r\n".join(map(json.dumps, lines)) + "\r\n"
    page.get_by_label("JSON Lines file").set_input_files(
        {"name": name, "mimeType": "application/jsonl", "buffer": text.encode()}
    )
    page.wait_for_function("document.querySelector('#status, #error').textContent !== ''")


def test_a_file_of_documents_with_scores(page: Page, page_server: PageServer) -> None:
    upload(page, [{"text": each, "score": n / 2} for n, each in enumerate(DOCUMENTS)])
    assert status(page) == "found.jsonl is read: 3 documents."
    assert page.locator("#counted").inner_text() == "3 documents, with their scores"
    page.get_by_label("Query", exact=True).fill(QUERY)
    rank(page)
    assert page_server.bodies[0]["documents"] == DOCUMENTS
    assert page_server.bodies[0]["first_stage_scores"] == [0, 0.5, 1]
    assert rows(page)[0][1].split() == ["2", "score", "0.500"]

    upload(page, ["plain", {"text": "scored", "score": 1}])
    page.locator("#counted", has_text="1 without a score, so none is sent").wait_for()
    rank(page)
    assert page_server.bodies[1]["documents"] == ["plain", "scored"]
    assert "first_stage_scores" not in page_server.bodies[1]


def test_a_file_of_queries(page: Page, page_server: PageServer) -> None:
    lines = [
        {"query": "first\nof all", "documents": ["a\n\nb", "c"]},
        {"query": QUERY, "documents": [{"text": each, "score": 1.5} for each in DOCUMENTS]},
    ]
    upload(page, lines)
    assert status(page) == "found.jsonl is read: 2 queries."
    rank(page)
    assert page_server.bodies[0]["query"] == "first\nof all"
    assert page_server.bodies[0]["documents"] == ["a\n\nb", "c"]
    page.get_by_label("Query of the file").select_option(QUERY)
    rank(page)
    assert page_server.bodies[1]["query"] == QUERY
    assert page_server.bodies[1]["first_stage_scores"] == [1.5] * 3


def test_a_dropped_file_is_read(page: Page) -> None:
    page.evaluate(
        """() => {
          const data = new DataTransfer();
          data.items.add(new File(['"one"\\n"two"'], "dropped.jsonl"));
          const drop = new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
          document.querySelector("h1").dispatchEvent(drop);
        }"""
    )
    page.locator("#status", has_text="dropped.jsonl is read: 2 documents.").wait_for()
    assert page.get_by_label("JSON Lines", exact=True).is_checked()


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "line 2 isn’t JSON"),
        ("7", "line 2 must be a string, or an object"),
        ('{"text": "a", "score": "high"}', "line 2: “score” must be a number"),
        ('{"query": "q", "documents": "a"}', "line 2: “query” must be a string"),
        ('{"query": "q", "documents": ["a"]}', "Some lines have a query"),
    ],
)
def test_a_line_that_is_wrong_is_named(page: Page, line: str, said: str) -> None:
    fill(page, QUERY, [])
    page.get_by_label("Documents, in the order").fill(f'"a"\n{line}')
    page.get_by_role("button", name="Rank", exact=True).click()
    page.get_by_role("alert").filter(has_text=said).wait_for()
    assert page.locator("#results").inner_text() == ""
