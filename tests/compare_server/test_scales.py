"""Scores of a server that are on another scale, or rounded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from compare_server.planted import (
    Planted,
    Values,
    compared,
    differing,
    found,
    said,
    served,
    sigmoid,
    softmax,
)

from resift import Reranker


def bfloat16(values: Values) -> Values:
    """The nearest numbers with 8 binary digits."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000).view(np.float32).astype(np.float64)


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
        assert found(report, "neighbours").verdict == "unknown"


def test_what_rounding_hides_is_not_taken_for_unread(small: Reranker) -> None:
    with served("jina", Planted(small, plain=lambda x: sigmoid(x - 4).round(2))) as server:
        report = compared(server, small)
    assert differing(report) == {"scale", "rounding"}, report.to_text()
    assert found(report, "length").evidence["there"]["after 320 words"] is None


def test_float16_is_worth_a_note(small: Reranker) -> None:
    def half(logits: Values) -> Values:
        return logits.astype(np.float16).astype(np.float64)

    with served("tei", Planted(small, raw=half)) as server:
        report = compared(server, small)
    assert found(report, "rounding").verdict == "note"
    assert report.status == "same"


def test_logits_are_as_good_where_scores_are_for_sorting_alone(small: Reranker) -> None:
    with served("weaviate", Planted(small, plain=identity)) as server:
        report = compared(server, small)
    assert differing(report) == set()
    assert said(report, "scale") == "logits"


def test_of_another_model_a_sigmoid_too_many_is_told_by_the_range(
    small: Reranker, nano: Reranker
) -> None:
    with served("jina", Planted(nano, plain=twice)) as server:
        report = compared(server, small)
    assert differing(report) == {"model", "scale"}
    assert said(report, "scale").endswith("by their range")
