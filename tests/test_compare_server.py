"""``resift compare-server`` against servers on loopback: sound ones, and one for each defect."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from remote.loopback import Fault, Loopback, Reply, changed, failing, serve

from resift import InvalidRequestError, Reranker
from resift.cli.main import main
from resift.compare import Report, compare_server
from resift.compare.pairs import MAIN, SECOND
from resift.protocols import PROTOCOLS, WireRequest, WireResponse, WireResult, WireScore
from resift.scoring import Cached, Local, Remote

Values = NDArray[np.float64]
SCORED = sorted(PROTOCOLS.keys() - {"openai-listwise"})
MODEL = "some-model"


@pytest.fixture(scope="module")
def small() -> Reranker:
    return Reranker(scorer=Cached(Local("resift-small")))


@pytest.fixture(scope="module")
def nano() -> Reranker:
    return Reranker(scorer=Cached(Local("resift-nano")))


def sigmoid(logits: Values) -> Values:
    return 1 / (1 + np.exp(-logits))


def softmax(logits: Values) -> Values:
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum())


def bfloat16(values: Values) -> Values:
    """The nearest numbers with 8 binary digits."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32).astype(np.float64)


@dataclass(frozen=True)
class Planted:
    """A server of a real model, with what is done to its texts and scores on the way."""

    model: Reranker
    cut: Callable[[str], str] = lambda text: text
    options: tuple[tuple[str, Any], ...] = ()
    raw: Callable[[Values], Values] = lambda logits: logits
    plain: Callable[[Values], Values] = sigmoid

    def __call__(self, request: WireRequest) -> WireResponse:
        return WireResponse(results=tuple(self._result(request, at) for at in range(1)))

    def _result(self, request: WireRequest, at: int) -> WireResult:
        query = request.queries[at]
        texts = [self.cut(text or "") for text in query.documents]
        scored = self.model.score(query.query, texts, normalization="none", **dict(self.options))
        logits = np.array(scored, dtype=np.float64)
        shown = (self.raw if request.normalization == "none" else self.plain)(logits)
        order = sorted(range(len(texts)), key=lambda place: (-shown[place], place))
        scores = [
            WireScore(index=place, score=float(shown[place]), logit=float(logits[place]))
            for place in order
        ]
        extra = {"counts": {}, "scale": "logit"}
        return WireResult(
            scores=tuple(scores[: request.top_n]), model="there", tokens=1, extra=extra
        )


def compared(server: Loopback, here: Reranker, **options: Any) -> Report:
    model = MODEL if PROTOCOLS[server.shape].needs_model else None
    given = {"protocol": server.shape, "reranker": here, "model": model, "timeout": 20.0}
    return compare_server(server.url, **{**given, **options})


@contextmanager
def served(shape: str, ranks: Callable[[WireRequest], WireResponse]) -> Iterator[Loopback]:
    with serve(shape) as server:
        server.ranks = ranks
        yield server


def differing(report: Report) -> set[str]:
    return {each.topic for each in report.findings if each.verdict == "differs"}


def said(report: Report, topic: str) -> str:
    found = report.finding(topic)
    assert found is not None, topic
    return found.said


@pytest.mark.parametrize("shape", SCORED)
def test_a_sound_server_is_the_same(shape: str, small: Reranker) -> None:
    with served(shape, Planted(small)) as server:
        report = compared(server, small)
    assert [each for each in report.findings if each.verdict != "same"] == []
    assert report.status == "same"
    assert report.requests == len(server.bodies) <= 25
    topics = {each.topic for each in report.findings}
    always = {"answer", "documents", "index", "model", "scale", "rounding", "repeated"}
    assert always | {"neighbours", "length", "query", "many", "odd texts"} <= topics
    assert ("default scale" in topics) == (PROTOCOLS[shape].scale == "logit")
    assert ("top_n" in topics) == ("top_n" in PROTOCOLS[shape].speaks)


@pytest.mark.parametrize("shape", ["tei", "jina"])
def test_another_precision_is_the_same_model(shape: str, small: Reranker) -> None:
    there = Reranker("resift-small", precision="fp32")
    with served(shape, Planted(there)) as server:
        report = compared(server, small)
    assert [each for each in report.findings if each.verdict != "same"] == []


def test_of_an_order_the_order_alone_is_compared(small: Reranker, nano: Reranker) -> None:
    with served("openai-listwise", Planted(small)) as server:
        same, other = compared(server, small), compared(server, nano)
    assert same.status == "same"
    assert [each.topic for each in same.findings] == ["answer", "model", "repeated"]
    assert differing(other) == {"model"}
    assert said(other, "model") == "another order"


@dataclass(frozen=True)
class Defect:
    """A change to a sound server, and what has to be said of it."""

    shape: str
    change: dict[str, Any]
    topics: frozenset[str]
    words: tuple[tuple[str, str], ...]


def twice(logits: Values) -> Values:
    return sigmoid(sigmoid(logits))


def identity(logits: Values) -> Values:
    return logits


def minmax(logits: Values) -> Values:
    low, high = logits.min(), logits.max()
    return np.asarray((logits - low) / (high - low)) if high > low else np.zeros_like(logits)


def defect(shape: str, topics: str, words: dict[str, str], **change: Any) -> Defect:
    return Defect(shape, change, frozenset(topics.split(", ")), tuple(words.items()))


DEFECTS = {
    "a sigmoid too many": defect("jina", "scale", {"scale": "sigmoids of sigmoids"}, plain=twice),
    "a sigmoid too many by default": defect(
        "tei", "default scale", {"default scale": "sigmoids of sigmoids"}, plain=twice
    ),
    "logits for a sigmoid": defect("cohere", "scale", {"scale": "logits"}, plain=identity),
    "logits by default": defect(
        "infinity", "default scale", {"default scale": "logits"}, plain=identity
    ),
    "a sigmoid for logits": defect("vllm", "scale", {"scale": "sigmoids of the"}, raw=sigmoid),
    "softmax": defect("jina", "scale", {"scale": "softmax"}, plain=softmax),
    "stretched": defect("voyage", "scale", {"scale": "stretched"}, plain=minmax),
    "the sign": defect("tei", "scale", {"scale": "sign"}, raw=lambda logits: -logits),
    "the other label": defect(
        "weaviate", "scale", {"scale": "sign"}, plain=lambda logits: sigmoid(-logits)
    ),
    "a temperature": defect(
        "cohere", "scale", {"scale": "factor"}, plain=lambda logits: sigmoid(logits / 3 + 0.5)
    ),
    "bfloat16": defect(
        "jina", "rounding", {"rounding": "bfloat16"}, plain=lambda x: bfloat16(sigmoid(x))
    ),
    "bfloat16 of logits": defect("tei", "rounding", {"rounding": "bfloat16"}, raw=bfloat16),
    "decimals": defect(
        "voyage", "rounding", {"rounding": "2 decimals"}, plain=lambda x: sigmoid(x).round(2)
    ),
    "a double sigmoid in two decimals": defect(
        "jina",
        "scale, rounding",
        {"scale": "sigmoids of sigmoids", "rounding": "2 decimals"},
        plain=lambda x: twice(x).round(2),
    ),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_scale_is_told(name: str, small: Reranker) -> None:
    planted = DEFECTS[name]
    with served(planted.shape, Planted(small, **planted.change)) as server:
        report = compared(server, small)
    assert differing(report) == planted.topics, report.to_text()
    for topic, words in planted.words:
        assert words in said(report, topic)
    assert report.status == "differs"
    assert all(each.advice for each in report.findings if each.verdict == "differs")
    if name in ("softmax", "stretched"):
        neighbours = report.finding("neighbours")
        assert neighbours is not None
        assert neighbours.verdict == "unknown"


def test_what_rounding_hides_is_not_taken_for_unread(small: Reranker) -> None:
    with served("jina", Planted(small, plain=lambda x: sigmoid(x - 4).round(2))) as server:
        report = compared(server, small)
    assert differing(report) == {"scale", "rounding"}, report.to_text()
    length = report.finding("length")
    assert length is not None
    assert length.evidence["there"]["after 320 words"] is None


def test_float16_is_worth_a_note(small: Reranker) -> None:
    def half(logits: Values) -> Values:
        return logits.astype(np.float16).astype(np.float64)

    with served("tei", Planted(small, raw=half)) as server:
        report = compared(server, small)
    found = report.finding("rounding")
    assert found is not None
    assert found.verdict == "note"
    assert report.status == "same"


@pytest.mark.parametrize("shape", ["tei", "jina"])
def test_another_model_is_told(shape: str, small: Reranker, nano: Reranker) -> None:
    with served(shape, Planted(nano)) as server:
        report = compared(server, small)
    assert differing(report) == {"model"}, report.to_text()
    assert said(report, "model") == "another model"
    found = report.finding("model")
    assert found is not None
    assert 0.3 < found.evidence["kendall_tau"] < 0.95


def test_logits_are_as_good_where_scores_are_for_sorting_alone(small: Reranker) -> None:
    with served("weaviate", Planted(small, plain=identity)) as server:
        report = compared(server, small)
    assert differing(report) == set()
    assert said(report, "scale") == "logits"


def test_a_model_here_without_logits_is_refused(small: Reranker) -> None:
    with served("jina", Planted(small)) as server:
        here = Reranker(scorer=Remote(server.url, protocol="jina", model=MODEL))
        with pytest.raises(InvalidRequestError, match="reranker must give logits"):
            compared(server, here)
        assert server.bodies == []


def test_of_another_model_a_sigmoid_too_many_is_told_by_the_range(
    small: Reranker, nano: Reranker
) -> None:
    with served("jina", Planted(nano, plain=twice)) as server:
        report = compared(server, small)
    assert differing(report) == {"model", "scale"}
    assert said(report, "scale").endswith("by their range")


def test_a_constant_is_no_model(small: Reranker) -> None:
    with served("jina", Planted(small, plain=lambda x: np.full_like(x, 0.5))) as server:
        report = compared(server, small)
    assert said(report, "model") == "every score is the same"
    assert report.status == "differs"


@pytest.mark.parametrize(
    ("length", "words"), [(128, "between 80 and 160 words"), (256, "between 160 and 320 words")]
)
def test_truncation_is_told(length: int, words: str, small: Reranker) -> None:
    planted = Planted(small, options=(("max_length", length),))
    with served("jina", planted) as server:
        report = compared(server, small)
    # The engine cuts a query to half of the length.
    assert differing(report) == {"length", "query"}, report.to_text()
    assert words in said(report, "length")
    assert f"as with {length} tokens" in said(report, "length")
    assert "the query is cut" in said(report, "query")


def test_documents_that_are_cut_at_words_are_told(small: Reranker) -> None:
    planted = Planted(small, cut=lambda text: " ".join(text.split(" ")[:100]))
    with served("cohere", planted) as server:
        report = compared(server, small)
    assert differing(report) == {"length"}, report.to_text()
    assert "between 80 and 160 words" in said(report, "length")


def test_a_head_that_is_cut_is_told(small: Reranker) -> None:
    planted = Planted(small, cut=lambda text: " ".join(text.split(" ")[-300:]))
    with served("jina", planted) as server:
        report = compared(server, small)
    assert differing(report) == {"length"}, report.to_text()
    assert "the head is cut off" in said(report, "length")


def test_a_middle_that_is_cut_is_told(small: Reranker) -> None:
    def ends(text: str) -> str:
        words = text.split(" ")
        return text if len(words) <= 300 else " ".join(words[:150] + words[-150:])

    with served("jina", Planted(small, cut=ends)) as server:
        report = compared(server, small)
    assert differing(report) == {"length"}
    assert "not their middle" in said(report, "length")


def test_a_server_that_reads_further_is_told(small: Reranker) -> None:
    planted = Planted(small, options=(("long_documents", "windows"),))
    with served("jina", planted) as server:
        report = compared(server, small)
    assert differing(report) == {"length"}
    assert "documents of 1280 words whole" in said(report, "length")


def over(words: int, fault: Fault) -> Fault:
    """A fault for requests with a document of more than so many words."""

    def answered(reply: Reply) -> Reply:
        long = any(len(text.split()) > words for text in documents(reply.asked))
        return fault(reply) if long else reply

    return answered


def documents(body: Any) -> Sequence[str]:
    return list(body.get("documents") or body.get("texts") or ())


@pytest.mark.parametrize(("status", "words"), [(422, "is refused"), (500, "the server fails")])
def test_a_long_pair_that_fails_the_request_is_told(
    status: int, words: str, small: Reranker
) -> None:
    # Its clients ask again after a 500.
    with served("jina", Planted(small)) as server:
        server.always = over(400, failing("jina", status, "must have less than 512 tokens"))
        report = compared(server, small)
    assert differing(report) == {"length"}, report.to_text()
    assert "between 320 and 640 words" in said(report, "length")
    assert words in said(report, "length")
    assert "the whole request" in said(report, "length")
    found = report.finding("length")
    assert found is not None
    assert "must have less than 512 tokens" in found.evidence["why"]
    assert report.requests <= 25


def test_requests_are_bounded_where_all_that_can_fail_does(small: Reranker) -> None:
    short = set(MAIN.documents) | set(SECOND.documents)

    def answered(reply: Reply) -> Reply:
        return reply if set(documents(reply.asked)) <= short else failing("tei", 400)(reply)

    with served("tei", Planted(small)) as server:
        server.always = answered
        report = compared(server, small)
    assert differing(report) == {"length", "odd texts"}
    # One more without the empty document, and of long ones the shortest alone.
    assert report.requests == len(server.bodies) == 13 + 2


def test_too_much_in_all_is_told_from_a_long_pair(small: Reranker) -> None:
    def answered(reply: Reply) -> Reply:
        words = sum(len(text.split()) for text in documents(reply.asked))
        return failing("jina", 413)(reply) if words > 4000 else reply

    with served("jina", Planted(small)) as server:
        server.always = answered
        report = compared(server, small)
    assert differing(report) == {"length"}
    assert "each of them is taken by itself" in said(report, "length")


def test_a_long_query_that_is_refused_is_told(small: Reranker) -> None:
    def answered(reply: Reply) -> Reply:
        return failing("jina", 422)(reply) if len(reply.asked["query"]) > 400 else reply

    with served("jina", Planted(small)) as server:
        server.always = answered
        report = compared(server, small)
    assert differing(report) == {"query"}
    assert "is refused" in said(report, "query")


def numbered_by_place(results: list[Any]) -> list[Any]:
    return [{**each, "index": place} for place, each in enumerate(results)]


def scored_by_place(results: list[Any]) -> list[Any]:
    """The right indices, best first, with the scores in the order given."""
    scores = [each["score"] for each in sorted(results, key=lambda each: each["index"])]
    pairs = zip(results, scores, strict=True)
    return [{**each, "score": score} for each, score in pairs]


def test_places_for_indices_are_told(small: Reranker) -> None:
    with served("tei", Planted(small)) as server:
        server.always = changed(numbered_by_place)
        report = compared(server, small)
    assert differing(report) == {"index"}, report.to_text()
    assert said(report, "model").startswith("the same model")
    length = report.finding("length")
    assert length is not None
    assert length.verdict == "unknown"


def test_places_for_indices_are_told_of_another_model(small: Reranker, nano: Reranker) -> None:
    with served("tei", Planted(nano)) as server:
        server.always = changed(numbered_by_place)
        report = compared(server, small)
    assert differing(report) == {"index"}, report.to_text()
    assert said(report, "model").startswith("another model, or")


def test_documents_that_come_back_at_other_indices_are_told(
    small: Reranker, nano: Reranker
) -> None:
    def turned(body: Any) -> Any:
        results, count = body["results"], len(body["results"])
        moved = [{**each, "index": (each["index"] + 1) % count} for each in results]
        return {**body, "results": moved if count > 3 else results}

    with served("vllm", Planted(nano)) as server:
        server.always = changed(turned)
        report = compared(server, small)
    assert differing(report) == {"index"}, report.to_text()


def test_scores_in_another_order_than_indices_are_told(small: Reranker) -> None:
    with served("tei", Planted(small)) as server:
        server.always = changed(scored_by_place)
        report = compared(server, small)
    assert differing(report) == {"index", "order"}, report.to_text()


@pytest.mark.parametrize("shape", ["weaviate", "vllm-score"])
def test_a_sorted_answer_is_wrong_where_the_order_given_is_kept(
    shape: str, small: Reranker
) -> None:
    def sort(body: Any) -> Any:
        key = "scores" if shape == "weaviate" else "data"
        results = sorted(body[key], key=lambda each: -each["score"])
        if shape == "vllm-score":
            results = numbered_by_place(results)
        return {**body, key: results}

    with served(shape, Planted(small)) as server:
        server.always = changed(sort)
        report = compared(server, small)
    assert differing(report) == {"index"}, report.to_text()


def test_an_answer_in_the_order_given_is_told(small: Reranker) -> None:
    with served("tei", Planted(small)) as server:
        server.always = changed(lambda body: sorted(body, key=lambda each: each["index"]))
        report = compared(server, small)
    assert differing(report) == {"order"}, report.to_text()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda results: results[:-1], "missing"),
        (lambda results: [*results, results[-1]], "more than once"),
        (lambda results: [*results, {**results[-1], "index": 99}], "out of range"),
    ],
)
def test_lost_and_repeated_documents_are_told(
    change: Callable[[list[Any]], list[Any]], words: str, small: Reranker
) -> None:
    def only_whole(body: Any) -> Any:
        results = body["results"]
        return {**body, "results": change(results) if len(results) > 3 else results}

    with served("cohere", Planted(small)) as server:
        server.always = changed(only_whole)
        report = compared(server, small)
    assert differing(report) == {"documents"}, report.to_text()
    found = report.finding("documents")
    assert found is not None
    assert words in found.evidence["faults"][0]


@pytest.mark.parametrize(("shape", "status"), [("tei", "same"), ("jina", "differs")])
def test_an_ignored_top_n_is_told(shape: str, status: str, small: Reranker) -> None:
    def ranks(request: WireRequest) -> WireResponse:
        return Planted(small)(replace(request, top_n=None))

    with served(shape, ranks) as server:
        report = compared(server, small)
    assert said(report, "top_n") == "top_n=3 gives 16 documents"
    assert report.status == status
    assert differing(report) == ({"top_n"} if status == "differs" else set())


def test_ties_that_are_turned_round_are_noted(small: Reranker) -> None:
    def turned(body: Any) -> Any:
        return sorted(body, key=lambda each: (-each["score"], -each["index"]))

    with served("tei", Planted(small)) as server:
        server.always = changed(turned)
        report = compared(server, small)
    found = report.finding("order")
    assert found is not None
    assert found.verdict == "note"
    assert report.status == "same"


def test_scores_that_depend_on_the_batch_are_told(small: Reranker) -> None:
    def padded(logits: Values) -> Values:
        return np.asarray(logits - 0.02 * len(logits))

    with served("tei", Planted(small, raw=padded)) as server:
        report = compared(server, small)
    assert differing(report) == {"neighbours"}, report.to_text()


def test_scores_that_depend_on_the_place_are_told(small: Reranker) -> None:
    def drifting(logits: Values) -> Values:
        return np.asarray(logits + 0.02 * np.arange(len(logits)))

    with served("tei", Planted(small, raw=drifting)) as server:
        report = compared(server, small)
    assert differing(report) == {"neighbours"}, report.to_text()


def test_scores_that_change_are_told(small: Reranker) -> None:
    calls = iter(range(100))

    def unsteady(logits: Values) -> Values:
        return np.asarray(logits + 0.2 * (next(calls) % 2))

    with served("tei", Planted(small, raw=unsteady)) as server:
        report = compared(server, small)
    assert differing(report) == {"repeated"}, report.to_text()


@pytest.mark.parametrize(("shape", "verdict"), [("tei", "note"), ("cohere", "differs")])
def test_a_cap_on_documents_is_told(shape: str, verdict: str, small: Reranker) -> None:
    def answered(reply: Reply) -> Reply:
        return failing(shape, 422)(reply) if len(documents(reply.asked)) > 32 else reply

    with served(shape, Planted(small)) as server:
        server.always = answered
        report = compared(server, small)
    found = report.finding("many")
    assert found is not None
    assert found.verdict == verdict
    assert differing(report) == ({"many"} if verdict == "differs" else set())


def test_a_refused_empty_document_is_told(small: Reranker) -> None:
    with served("jina", Planted(small)) as server:
        server.always = lambda reply: (
            failing("jina", 400)(reply) if "" in documents(reply.asked) else reply
        )
        report = compared(server, small)
    assert differing(report) == {"odd texts"}
    assert "empty document" in said(report, "odd texts")


def test_dropped_characters_are_told(small: Reranker) -> None:
    def ascii_alone(text: str) -> str:
        return text.encode("ascii", "ignore").decode()

    with served("jina", Planted(small, cut=ascii_alone)) as server:
        report = compared(server, small)
    assert "odd texts" in differing(report), report.to_text()
    found = report.finding("odd texts")
    assert found is not None
    assert {"emoji", "Chinese"} & found.evidence.keys()


UNUSABLE: dict[str, tuple[Fault, str]] = {
    "wrong key": (failing("jina", 401, "invalid key"), "status 401"),
    "no such route": (failing("jina", 404), "status 404"),
    "garbage": (lambda reply: Reply(b"<html>hello</html>"), "can't be read"),
    "another shape": (lambda reply: Reply(b"[1, 2]"), "must be an object"),
    "busy": (failing("jina", 429), "can't be asked"),
    "broken off": (lambda reply: Reply(reply.body, sent=5), "broke off"),
    "no scores": (changed(lambda body: {**body, "results": []}), "no finite score"),
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_what_cannot_be_compared_is_said(name: str, small: Reranker) -> None:
    fault, words = UNUSABLE[name]
    with served("jina", Planted(small)) as server:
        server.always = fault
        report = compared(server, small, key="hidden-key-of-mine")
    assert report.status == "unknown"
    assert words in said(report, "answer"), report.to_text()
    assert "hidden-key" not in report.to_text() + repr(report)
    assert len(server.bodies) == 1 or name == "no scores"


def test_a_server_that_is_down_is_said(small: Reranker) -> None:
    with serve("tei") as server:
        url = server.url
    report = compare_server(url, protocol="tei", reranker=small, timeout=2.0)
    assert report.status == "unknown"
    assert "can't be reached" in said(report, "answer")
    assert report.requests == 1


def test_one_slow_answer_leaves_the_rest(small: Reranker) -> None:
    def answered(reply: Reply) -> Reply:
        return replace(reply, drip=1.0) if len(documents(reply.asked)) > 32 else reply

    with served("tei", Planted(small)) as server:
        # So that all is in the cache, and only what is to be late is.
        compared(server, small)
        server.always = answered
        report = compared(server, small, timeout=3.0)
    found = report.finding("many")
    assert found is not None
    assert found.verdict == "unknown"
    assert report.status == "same"


def test_the_command(
    small: Reranker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RERANK_KEY", "my-secret-key")
    with served("cohere", Planted(small)) as server:
        words = ["compare-server", server.url, "--protocol", "cohere", "--remote-model", MODEL]
        assert main([*words, "--key-env", "RERANK_KEY", "--format", "json"]) == 0
        written = json.loads(capsys.readouterr().out)
        assert written["status"] == "same"
        assert written["model"] == "resift-small"
        assert {each["verdict"] for each in written["findings"]} == {"same"}
        assert {each["authorization"] for each in server.headers} == {"Bearer my-secret-key"}
        assert main([*words, "--model", "resift-nano"]) == 1
        table = capsys.readouterr().out
        assert "another model" in table
        assert "do: give --model" in table
        assert table.rstrip().endswith("requests")
        server.always = failing("cohere", 401, "who are you")
        assert main(words) == 3
        assert "who are you" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ["http://127.0.0.1:1", "--protocol", "cohere"],
        ["http://127.0.0.1:1", "--protocol", "tei", "--key-env", "NO_SUCH_VARIABLE"],
        ["not an address", "--protocol", "tei"],
        ["http://127.0.0.1:1", "--protocol", "tei", "--timeout", "0"],
    ],
)
def test_a_wrong_call_is_said(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare-server", *words]) == 2
    assert capsys.readouterr().err.startswith("resift: ")


def test_a_protocol_that_is_not_there_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="protocol must be one of"):
        compare_server("http://127.0.0.1:1", protocol="smoke-signals")


def test_a_report_has_no_control_characters(small: Reranker) -> None:
    with served("jina", Planted(small)) as server:
        server.always = failing("jina", 400, "\x1b[31mred")
        text = compared(server, small).to_text()
    assert "red" in text
    assert "\x1b" not in text


def test_the_json_of_a_report_is_json(small: Reranker) -> None:
    with served("jina", Planted(small, plain=softmax)) as server:
        report = compared(server, small)
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["status"] == "differs"
    assert not math.isnan(report.requests)
