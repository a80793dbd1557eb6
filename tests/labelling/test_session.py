"""The way through a pool, and what is shown of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelling.judged import HOSTILE

from resift import InvalidRequestError
from resift.files.grades import Label, read_labels
from resift.labelling.labels import LabelsFile
from resift.labelling.pool import Pair, Pool
from resift.labelling.session import Session
from resift.labelling.shown import escaped, marked, wrapped

POOL = Pool([Pair("q", name, "query", name) for name in "abcd"])
Start = Callable[..., Session]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts sessions one after the other, on one file."""
    opened: list[Any] = []

    def made(by: str | None = None, *labels: Label) -> Session:
        if opened:
            opened.pop().__exit__(None, None, None)
        opened.append(LabelsFile.open(tmp_path / "labels.jsonl"))
        file = opened[-1].__enter__()
        for label in labels:
            file.append(label)
        return Session(POOL, file, [0, 1, 2, 3], by, now=lambda: "now")

    yield made
    for each in opened:
        each.__exit__(None, None, None)


def grades(folder: Path) -> dict[str, int]:
    return {key[1]: each.grade for key, each in read_labels(folder / "labels.jsonl").items()}


def test_pairs_come_in_order_until_all_have_a_grade(start: Start, tmp_path: Path) -> None:
    session = start("anna")
    for at in range(4):
        assert (session.at, session.done) == (at, at)
        session.grade(at, at)
    assert (session.at, session.done) == (None, 4)
    assert grades(tmp_path) == {"a": 0, "b": 1, "c": 2, "d": 3}
    assert {each.by for each in read_labels(tmp_path / "labels.jsonl").values()} == {"anna"}
    assert {each.at for each in read_labels(tmp_path / "labels.jsonl").values()} == {"now"}


def test_what_is_done_is_not_asked_again_and_what_was_skipped_is(start: Start) -> None:
    session = start(None, Label("q", "b", 1), Label("other", "a", 1))
    assert (session.at, session.done) == (0, 1)
    session.skip(0)
    assert (session.at, session.skipped) == (2, {0})
    session.grade(2, 3)
    session.skip(3)
    assert (session.at, session.done) == (None, 2)
    session = start()
    assert (session.at, session.skipped) == (0, set())


def test_back_shows_a_grade_again_and_another_replaces_it(start: Start, tmp_path: Path) -> None:
    session = start()
    assert not session.back()
    session.grade(0, 1)
    session.grade(1, 2)
    assert session.back()
    assert session.back()
    assert (session.at, session.given(0)) == (0, 1)
    session.skip(0)
    assert (grades(tmp_path), session.at, session.skipped) == ({"a": 1, "b": 2}, 2, set())
    assert session.back()
    session.grade(0, 3)
    assert (grades(tmp_path), session.at) == ({"b": 2, "a": 3}, 2)
    # Over the end of a process, too.
    session = start()
    assert session.back()
    assert session.at == 0
    assert len((tmp_path / "labels.jsonl").read_bytes().splitlines()) == 3


def test_a_skipped_pair_that_gets_a_grade_is_no_longer_skipped(start: Start) -> None:
    session = start()
    session.skip(0)
    session.back()
    session.grade(0, 2)
    assert (session.skipped, session.at) == (set(), 1)


def test_a_file_has_one_person(start: Start) -> None:
    start("anna", Label("q", "a", 1, "anna"))
    start("anna")
    session = start()
    session.grade(1, 1)
    with pytest.raises(InvalidRequestError, match=r"labels by 'anna'.*by 'ben'"):
        start("ben")


def test_a_grade_that_is_not_offered_is_refused(start: Start, tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="grade 7"):
        start().grade(0, 7)
    assert grades(tmp_path) == {}


# Each grade waits for the disk.
@settings(max_examples=30, deadline=None)
@given(actions=st.lists(st.sampled_from(["0", "3", "s", "u"]), max_size=20))
def test_any_keys_lose_and_double_nothing(
    tmp_path_factory: pytest.TempPathFactory, actions: list[str]
) -> None:
    path = tmp_path_factory.mktemp("labels") / "labels.jsonl"
    with LabelsFile.open(path) as file:
        session = Session(POOL, file, [0, 3])
        expected: dict[str, int] = {}
        for action in actions:
            at = session.at
            if action == "u":
                session.back()
            elif at is None:
                break
            elif action == "s":
                session.skip(at)
            else:
                session.grade(at, int(action))
                expected[POOL.pairs[at].document_id] = int(action)
            assert session.done == len(expected)
            assert {POOL.pairs[at].document_id for at in session.skipped}.isdisjoint(expected)
        if session.at is None:
            assert len(expected) + len(session.skipped) == 4
    assert {key[1]: each.grade for key, each in read_labels(path).items()} == expected


@given(st.text() | st.text(alphabet=[*map(chr, range(32)), "\x9b", "\u202e", "\u2028", "\xa0"]))
def test_nothing_of_a_text_acts_on_a_terminal(text: str) -> None:
    shown = escaped(text)
    assert all(each.isprintable() or each in "\n\t\u200c\u200d" for each in shown)
    if text.isprintable():
        assert shown == text


def test_control_characters_can_be_seen() -> None:
    assert escaped("a\x1b[2J\u202eb\x00\r\nc\xa0d") == "a\\x1b[2J\\u202eb\\x00\nc d"
    assert "\x1b" not in escaped(HOSTILE)


@given(st.text(), st.text())
def test_marking_changes_no_text(text: str, query: str) -> None:
    assert "".join(part for part, _ in marked(text, query)) == text


@pytest.mark.parametrize(
    ("query", "text", "words"),
    [
        ("How do I sort?", "A Sort of sorting, SORT", ["Sort", "SORT"]),
        ("c++ (.*) 3", "3 c++ (.*)", ["3"]),
        ("東京駅", "これは東京の駅です。東京駅", ["東京", "東京駅"]),
        ("größe ё", "GRÖSSE Größe ё", ["Größe", "ё"]),
        ("a of", "a of", []),
    ],
)
def test_words_of_the_query_are_marked(query: str, text: str, words: list[str]) -> None:
    assert [part for part, is_word in marked(text, query) if is_word] == words


@given(st.text(alphabet="ab 日\n\u0301"), st.integers(2, 12))
def test_lines_fit_and_lose_no_words(text: str, width: int) -> None:
    lines = list(wrapped(text, width))
    for line in lines:
        assert sum({"日": 2, "\u0301": 0}.get(each, 1) for each in line) <= width
    assert "".join("".join(lines).split()) == "".join(text.split())
