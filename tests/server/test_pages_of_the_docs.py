"""The tables of the server's pages, against the server."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from resift.server.openapi import document

ROOT = Path(__file__).parents[2]
SERVING = (ROOT / "docs/serving.md").read_text(encoding="utf-8")
OBSERVABILITY = (ROOT / "docs/observability.md").read_text(encoding="utf-8")
WHOLE = document()


def section(page: str, title: str) -> str:
    return page.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_the_table_of_routes_is_that_of_the_server() -> None:
    rows = re.findall(r"(?m)^\| (`(?:GET|POST) .*?`) \| ", section(SERVING, "Routes"))
    named = re.findall(r"`(GET|POST) ([^`]+)`", "".join(rows))
    described = {
        (method.upper(), path) for path, methods in WHOLE["paths"].items() for method in methods
    }
    assert set(named) == described
    assert len(named) == len(set(named))


def test_the_table_of_headers_is_that_of_the_server() -> None:
    text = section(SERVING, "Headers").partition("| header of an answer")[2]
    described = WHOLE["paths"]["/rerank"]["post"]["responses"]["200"]["headers"]
    rows = set(re.findall(r"`(x-re[a-z-]+)`", text))
    assert rows == {name for name in described if name.startswith("x-re")}


def test_the_table_of_errors_has_every_status() -> None:
    rows = re.findall(r"(?m)^\| ([\d, ]+) \|", section(SERVING, "Errors"))
    stated = {status for row in rows for status in row.split(", ")}
    described = {
        status
        for methods in WHOLE["paths"].values()
        for each in methods.values()
        for status in each["responses"]
        if int(status) >= 400
    }
    # Those of any address, which a document of routes can't have.
    assert stated - described == {"404", "405"}
    assert described <= stated


def test_every_metric_is_named(server: httpx.Client) -> None:
    server.post("/rerank", json={"query": "a", "texts": ["b"]})
    server.post("/rerank", json={"query": "a"})
    text = server.get("/metrics").text
    types = dict(re.findall(r"(?m)^# TYPE (\S+) (\w+)$", text))
    page = set(re.findall(r"`((?:resift|te)_\w+)`", section(OBSERVABILITY, "A server")))
    ours = {name for name in types if name.startswith(("resift_", "te_"))}
    assert page == ours
    for name, labels in re.findall(r"(?m)^\| `(resift_\w+)` \| ([^|]*) \|", OBSERVABILITY):
        sample = re.search(rf"(?m)^{name}(?:_count)?\{{([^}}]*)\}}", text)
        found = set(re.findall(r'(\w+)="', sample[1])) if sample else set()
        assert found == set(re.findall(r"`(\w+)`", labels)), name


def test_all_that_must_not_happen_has_a_row() -> None:
    link = r"\[([\w.-]+/[\w.-]+)#(\d+)\]\(https://github.com/(.*)/issues/(\d+)\)"
    text = section(SERVING, "What must not happen")
    rows = re.findall(rf"(?m)^\| \S.*: {link} \| \S.* \|$", text)
    assert len(rows) == 25
    assert all((name, number) == (repository, issue) for name, number, repository, issue in rows)
