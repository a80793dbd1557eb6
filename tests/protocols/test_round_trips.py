"""Every wire shape, both ways: what one side writes, the other reads as it was meant."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protocols.strategies import JSON, SHAPES, TEXTS, budget, requests, responses, spoilt

from resift import Calibration, Reranker
from resift.protocols import (
    PROTOCOLS,
    Failure,
    Shape,
    WireError,
    WireQuery,
    WireRequest,
    WireResponse,
    WireResult,
    dumps,
    loads,
)

each_shape = pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)


@each_shape
@budget
@given(data=st.data())
def test_a_request_is_read_as_it_was_meant(shape: Shape, data: st.DataObject) -> None:
    request = data.draw(requests(shape))
    body = loads(dumps(shape.encode_request(request)))
    assert shape.decode_request(body) == request


@each_shape
@budget
@given(data=st.data())
def test_an_answer_is_read_as_it_was_meant(shape: Shape, data: st.DataObject) -> None:
    request = data.draw(requests(shape))
    response = data.draw(responses(shape, request))
    body = loads(dumps(shape.encode_response(response, request)))
    read = shape.decode_response(body, request)
    assert len(read.results) == len(response.results)
    for ours, theirs in zip(read.results, response.results, strict=True):
        assert [(each.index, each.score) for each in ours.scores] == [
            (each.index, each.score) for each in theirs.scores
        ]
        assert ours.repairs == 0


@pytest.mark.parametrize(
    "shape",
    [each for each in SHAPES if "return_documents" in each.speaks],
    ids=lambda each: each.name,
)
@budget
@given(data=st.data())
def test_documents_come_back_where_they_are_asked_for(shape: Shape, data: st.DataObject) -> None:
    request = replace(data.draw(requests(shape)), return_documents=True)
    response = data.draw(responses(shape, request))
    read = shape.decode_response(shape.encode_response(response, request), request)
    for query, result in zip(request.queries, read.results, strict=True):
        for each in result.scores:
            given_back = each.document
            if isinstance(given_back, dict):
                given_back = given_back["text"]
            assert given_back == query.documents[each.index]


@each_shape
@budget
@given(status=st.sampled_from([400, 401, 422, 429, 500, 503]), message=TEXTS, body=st.binary())
def test_a_failure_is_read_whatever_its_body(
    shape: Shape, status: int, message: str, body: bytes
) -> None:
    failure = Failure(status=status, message=message)
    read = shape.decode_failure(status, dumps(shape.encode_failure(failure)))
    assert (read.status, read.message) == (status, message)
    assert isinstance(shape.decode_failure(status, body).message, str)


@each_shape
@budget
@given(body=JSON)
def test_any_json_is_read_or_refused(shape: Shape, body: Any) -> None:
    asked = WireRequest(queries=(WireQuery(query="q", documents=("a", "b")),))
    for decode in (
        lambda: shape.decode_request(body),
        lambda: shape.decode_response(body, asked),
    ):
        with suppress(WireError):
            decode()
    shape.decode_failure(500, json.dumps(body).encode())


@each_shape
@budget
@given(data=st.data())
def test_a_spoilt_body_is_read_or_refused(shape: Shape, data: st.DataObject) -> None:
    request = data.draw(requests(shape))
    body = loads(dumps(shape.encode_request(request)))
    said = loads(dumps(shape.encode_response(data.draw(responses(shape, request)), request)))
    for decode, whole in (
        (shape.decode_request, body),
        (lambda each: shape.decode_response(each, request), said),
    ):
        wrong = data.draw(spoilt(whole))
        with suppress(WireError):
            decode(wrong)


@budget
@given(body=st.binary())
def test_any_bytes_are_json_or_refused(body: bytes) -> None:
    with suppress(WireError):
        loads(body)


@pytest.mark.parametrize("body", [b"[" * 100_000, b"9" * 10_000, b"\xff\xfe", b"", b"<html>"])
def test_hostile_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(WireError):
        loads(body)


def test_messages_repeat_nothing_of_a_body() -> None:
    for body in ({"query": ["secret"]}, {"query": "q", "texts": ["a", {"secret": 1}]}):
        with pytest.raises(WireError) as raised:
            PROTOCOLS["tei"].decode_request(body)
        assert "secret" not in str(raised.value)


@each_shape
def test_null_is_not_given(shape: Shape) -> None:
    request = WireRequest(queries=(WireQuery(query="q", documents=("a",)),), model="m")
    if "model" not in shape.speaks:
        request = WireRequest(queries=request.queries)
    body = shape.encode_request(request)
    nulls = dict.fromkeys(("top_n", "top_k", "return_documents", "max_tokens_per_doc", "x"))
    assert shape.decode_request({**nulls, **body}) == request


@each_shape
def test_what_a_shape_cannot_say_is_refused(shape: Shape) -> None:
    query = WireQuery(query="q", documents=("a",))
    for name, value in {"deadline_ms": 5.0, "max_length": 8, "prior": "auto"}.items():
        request = WireRequest(queries=(query,), **{name: value})  # type: ignore[arg-type]
        if name not in shape.speaks:
            with pytest.raises(WireError, match=f"{name} can't be said"):
                shape.encode_request(request)


def test_a_ranking_says_all_that_it_is_over_the_wire() -> None:
    shape = PROTOCOLS["resift"]
    documents = ("Bread needs yeast.", "Sort a dictionary by value.", None)
    ranking = Reranker().rank("sort a dict", documents, normalization="none").to_dict()
    request = WireRequest(queries=(WireQuery(query="sort a dict", documents=documents),))
    response = WireResponse(results=(WireResult.of(ranking),))
    body = loads(dumps(shape.encode_response(response, request)))
    assert body == {"rankings": [json.loads(json.dumps(ranking))]}
    assert shape.decode_response(body, request) == WireResponse(
        results=(WireResult.of(json.loads(json.dumps(ranking))),)
    )


def test_a_result_says_where_its_document_was_cut() -> None:
    shape, documents = PROTOCOLS["resift"], ("Sort a dictionary by value. " * 30, "Bread.")
    request = WireRequest(
        queries=(WireQuery(query="sort a dict", documents=documents),), return_cuts=True
    )
    assert shape.decode_request(loads(dumps(shape.encode_request(request)))) == request
    reranker = Reranker(max_length=40)
    ranking = reranker.rank("sort a dict", documents).to_dict()
    cuts = reranker.cuts("sort a dict", documents)
    for each in ranking["results"]:
        each["cut_at"] = cuts[each["index"]]
    response = WireResponse(results=(WireResult.of(ranking),))
    body = loads(dumps(shape.encode_response(response, request)))
    said = {each["index"]: each["cut_at"] for each in body["rankings"][0]["results"]}
    assert 0 < said[0] < len(documents[0])
    assert said[1] is None
    read = shape.decode_response(body, request).result
    assert {each.index: each.extra["cut_at"] for each in read.scores} == said


def test_options_have_resifts_own_names() -> None:
    body = {
        "query": "q",
        "documents": ["a", None],
        "first_stage_scores": [1, None],
        "normalization": {"slope": 2.0, "intercept": 0.5},
        "top_n": 3,
        "prune": "auto",
        "deadline_ms": 50,
        "topn": 1,
    }
    request = PROTOCOLS["resift"].decode_request(body)
    assert request.query.documents == ("a", None)
    assert request.query.first_stage_scores == (1.0, None)
    assert Calibration(**request.normalization).slope == 2.0
    assert (request.top_n, request.prune, request.deadline_ms) == (3, "auto", 50.0)
    assert request.extra == {"topn": 1}
