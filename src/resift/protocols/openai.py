"""Listwise ranking by a language model, through OpenAI's ``POST /v1/chat/completions``.

The prompt is that of RankVicuna and RankZephyr (Pradeep et al., 2023), which goes back to RankGPT
(Sun et al., 2023): numbered passages, to be answered with an order such as ``[2] > [1]``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from resift.protocols.reading import Fields
from resift.protocols.shape import SERVER_ERRORS, Shape, body_of, encode_openai_failure
from resift.protocols.wire import (
    Failure,
    Json,
    Limits,
    WireError,
    WireQuery,
    WireRequest,
    WireResponse,
    WireResult,
    WireScore,
)

_SYSTEM = (
    "You are RankLLM, an intelligent assistant that can rank passages based on their relevancy to "
    "the query."
)
_BEFORE = (
    "I will provide you with {count} passages, each indicated by a numerical identifier []. Rank "
    "the passages based on their relevance to the search query: {query}.\n\n"
)
_AFTER = (
    "\n\nSearch Query: {query}.\nRank the {count} passages above based on their relevance to the "
    "search query. All the passages should be included and listed using identifiers, in descending "
    "order of relevance. The output format should be [] > [], e.g., [2] > [1]. Only respond with "
    "the ranking results, do not say any word or explain."
)
# Six digits are more than any list has, and fewer than int() takes long for.
_BRACKETED = re.compile(r"\[\s*([0-9]{1,6})\s*\]")
_BARE = re.compile(r"(?<![0-9.])([0-9]{1,6})(?![0-9.]*[0-9])")
_PASSAGE = re.compile(r"(?:^|\n)\[([0-9]+)\] ")


class OpenAIListwise(Shape):
    """Any server with OpenAI's chat route; gives an order of the documents, and no scores."""

    name = "openai-listwise"
    path = "/v1/chat/completions"
    speaks = frozenset({"model"})
    scale = "order"
    # As RankGPT cuts its passages.
    limits = Limits(words=300)
    # As its SDK does.
    retried = frozenset({408, 409, 429}) | SERVER_ERRORS
    needs_model = True

    def is_listwise(self, model: str | None) -> bool:
        """``True`` for any model."""
        return True

    def encode_request(self, request: WireRequest) -> Json:
        """Write the prompt; ``extra`` may replace the ``temperature``, which is 0."""
        self.check_said(request)
        passages = [passage(text or "") for text in request.query.documents]
        query = passage(request.query.query)
        count = len(passages)
        numbered = "\n".join(f"[{place}] {text}" for place, text in enumerate(passages, 1))
        prompt = (
            f"{_BEFORE.format(count=count, query=query)}{numbered}"
            f"{_AFTER.format(count=count, query=query)}"
        )
        messages = [
            {"role": "system", "content": _SYSTEM},
            {"role": "user", "content": prompt},
        ]
        body = body_of(request, model=request.model, messages=messages)
        return {"temperature": 0, **body}

    def decode_request(self, body: Json) -> WireRequest:
        read = Fields(body)
        messages = read.required("messages", read.items)
        last = Fields(messages[-1] if messages else {}, "messages[-1]")
        prompt = last.required("content", last.text)
        model = read.required("model", read.text)
        extra = read.rest()
        if extra.get("temperature") == 0:
            del extra["temperature"]
        return WireRequest(queries=(_parse(prompt),), model=model, extra=extra)

    def encode_response(self, response: WireResponse, request: WireRequest) -> Json:
        result = response.result
        order = " > ".join(f"[{each.index + 1}]" for each in result.scores)
        message = {"role": "assistant", "content": order}
        tokens = result.tokens or 0
        return {
            "id": result.id or "chatcmpl-resift",
            "object": "chat.completion",
            "created": 0,
            "model": result.model or request.model,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens},
        }

    def decode_response(self, body: Json, request: WireRequest) -> WireResponse:
        """Read the order, repaired by ``permutation``. A text without any is a ``WireError``."""
        read = Fields(body)
        choices = read.required("choices", read.items)
        choice = Fields(choices[0] if choices else {}, "choices[0]")
        written = choice.object("message").text("content") or ""
        order, repairs = permutation(written, len(request.query.documents))
        result = WireResult(
            scores=tuple(WireScore(index=index, score=None) for index in order),
            model=read.text("model"),
            id=read.text("id"),
            tokens=read.object("usage").natural("prompt_tokens"),
            repairs=repairs,
            extra=read.rest(),
        )
        return WireResponse(results=(result,))

    def encode_failure(self, failure: Failure) -> Json:
        return encode_openai_failure(failure)


def passage(text: str) -> str:
    """A text as it stands in the prompt: one line, in which nothing looks like an identifier."""
    return re.sub(r"\[([0-9]+)\]", r"(\1)", " ".join(text.split()))


def permutation(written: str, count: int) -> tuple[list[int], int]:
    """The order that a model wrote, as positions from 0, and how many repairs that took.

    What stands before ``</think>`` isn't read. Identifiers are the numbers in brackets, or all
    numbers where none is in brackets. Of each the first is kept; any other, and those from outside
    ``1 … count``, are dropped; missing ones are appended in the order they had. Raises
    ``WireError`` where there is no identifier at all.
    """
    written = written.rpartition("</think>")[2]
    found = _BRACKETED.findall(written) or _BARE.findall(written)
    named = [int(each) - 1 for each in found]
    order = list(dict.fromkeys(each for each in named if 0 <= each < count))
    if not order and count:
        raise WireError("the model's text must be an order such as [2] > [1]; it has none")
    missing = [each for each in range(count) if each not in set(order)]
    return order + missing, len(named) - len(order) + len(missing)


def _parse(prompt: str) -> WireQuery:
    """The query and the passages of a prompt that ``encode_request`` wrote."""
    places = list(_PASSAGE.finditer(prompt))
    wanted = WireError("messages[-1].content must be a prompt to rank numbered passages")
    if not places:
        raise wanted
    start = places[0].start() + prompt[places[0].start()].count("\n")
    head, rest = prompt[:start], prompt[start:]
    query = _between(head, _BEFORE, len(places))
    if query is None:
        raise wanted
    after = _AFTER.format(count=len(places), query=query)
    if not rest.endswith(after):
        raise wanted
    return WireQuery(query=query, documents=tuple(_passages(rest[: -len(after)], len(places))))


def _between(head: str, template: str, count: int) -> str | None:
    before, _, after = template.partition("{query}")
    before = before.format(count=count)
    if not (head.startswith(before) and head.endswith(after) and len(head) >= len(before + after)):
        return None
    return head[len(before) : len(head) - len(after)]


def _passages(text: str, count: int) -> Sequence[str]:
    parts = _PASSAGE.split(text)
    # Whatever is before the first, then numbers and texts in turn.
    if parts[1::2] != [str(place) for place in range(1, count + 1)]:
        raise WireError(f"the passages must be numbered from 1 to {count}")
    return parts[2::2]
