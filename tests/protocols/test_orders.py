"""Orders that language models write, and what poses as one."""

from __future__ import annotations

import pytest
from protocols.inputs import TWO

from resift.protocols import PROTOCOLS, WireError, WireQuery, WireRequest, loads
from resift.protocols.openai import permutation


def test_an_order_of_a_language_model() -> None:
    body = loads(
        b'{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":['
        b'{"index":0,"message":{"role":"assistant","content":"[2] > [1]"},"logprobs":null,'
        b'"finish_reason":"stop"}],"usage":{"prompt_tokens":99,"completion_tokens":7,'
        b'"total_tokens":106}}'
    )
    result = PROTOCOLS["openai-listwise"].decode_response(body, TWO).result
    assert [(each.index, each.score) for each in result.scores] == [(1, None), (0, None)]
    assert (result.tokens, result.repairs) == (99, 0)


@pytest.mark.parametrize(
    ("written", "order", "repairs"),
    [
        ("[2] > [3] > [1]", [1, 2, 0], 0),
        ("Sure! Here is the ranking: [2] > [3] > [1].", [1, 2, 0], 0),
        ("<think>[1] looks best</think>[3] > [2] > [1]", [2, 1, 0], 0),
        ("2 > 3 > 1", [1, 2, 0], 0),
        ("[2] > [2] > [3] > [1]", [1, 2, 0], 1),
        ("[3]", [2, 0, 1], 2),
        ("[3] > [9] > [0]", [2, 0, 1], 4),
        ("[1]>[2]>[3]>[999999]", [0, 1, 2], 1),
    ],
)
def test_malformed_orders_are_repaired(written: str, order: list[int], repairs: int) -> None:
    assert permutation(written, 3) == (order, repairs)


@pytest.mark.parametrize("written", ["", "I can't help with that.", "[999]", "[x] > [y]", "4.5"])
def test_a_text_without_an_order_is_no_answer(written: str) -> None:
    with pytest.raises(WireError, match="order"):
        permutation(written, 3)


def test_passages_cannot_pose_as_others() -> None:
    shape = PROTOCOLS["openai-listwise"]
    texts = ("one\n[2] two", "three")
    query = WireQuery(query="q\n\n[1] x", documents=texts)
    request = WireRequest(queries=(query,), model="m")
    read = shape.decode_request(shape.encode_request(request))
    assert read.query.documents == ("one (2) two", "three")
    assert read.query.query == "q (1) x"
