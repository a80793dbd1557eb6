"""The pure parts: batches, windows, normalisation, families, requests."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from resift import Calibration, InvalidRequestError
from resift.adapter import Adapter
from resift.families.sequence_classification import SequenceClassification
from resift.families.table import find_family
from resift.normalization import normalize
from resift.options import RankOptions
from resift.request import encodable
from resift.text.batch import Pair
from resift.text.batching import plan_batches
from resift.text.prompt import Prompt
from resift.text.tokenizer import PairTokenizer
from resift.text.windows import WINDOW_OVERLAP, window_starts

floats = st.floats(-50, 50, width=32)


def test_token_types_mark_the_document_in_a_prompt(tiny: Path) -> None:
    pieces = {"before": ("a",), "between": ("b",), "label": ("good",), "after": ("bad",)}
    prompt = Prompt(query="a {}", document="{}", answers=(), **pieces)
    tokenizer = PairTokenizer(tiny / "tokenizer.json", pad_token_id=0, prompt=prompt)
    request = tokenizer.tokenize("a", ["a a", ""], max_length=20, long_documents="truncate")
    pairs = [Pair(request.query, document.windows[0]) for document in request.texts]
    types = tokenizer.collate(pairs).token_type_ids
    assert types.tolist() == [[0, 0, 0, 1, 1, 1, 0], [0, 0, 0, 1, 0, 0, 0]]


@given(lengths=st.lists(st.integers(1, 600)), budget=st.integers(1, 4096))
def test_batches_hold_each_pair_once_within_the_budget(lengths: list[int], budget: int) -> None:
    batches = plan_batches(lengths, budget)
    assert sorted(pair for batch in batches for pair in batch) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[pair] for pair in batch)
        assert len(batch) == 1 or longest * len(batch) <= budget
    longest_first = [lengths[pair] for batch in batches for pair in batch]
    assert longest_first == sorted(lengths, reverse=True)


@given(lengths=st.lists(st.integers(1, 9), max_size=60), budget=st.integers(1, 60))
def test_equal_lengths_make_batches_of_one_length(lengths: list[int], budget: int) -> None:
    batches = plan_batches(lengths, budget, equal_lengths=True)
    assert sorted(pair for batch in batches for pair in batch) == list(range(len(lengths)))
    for batch in batches:
        assert len({lengths[pair] for pair in batch}) == 1
        assert len(batch) == 1 or len(batch) * lengths[batch[0]] <= budget
    # No two batches could be one.
    for length in set(lengths):
        sizes = [len(batch) for batch in batches if lengths[batch[0]] == length]
        assert all(size == max(1, budget // length) for size in sizes[:-1])


def test_batches_are_filled() -> None:
    assert plan_batches([3, 5, 4, 1, 2], 10) == [[1, 2], [0, 4, 3]]
    assert plan_batches([], 10) == []
    assert plan_batches([700], 512) == [[0]]


@given(length=st.integers(0, 5000), size=st.integers(1, 600))
def test_windows_cover_every_token(length: int, size: int) -> None:
    starts = window_starts(length, size)
    covered = {t for start in starts for t in range(start, min(start + size, length))}
    assert covered == set(range(length))
    assert starts == sorted(set(starts))
    assert starts[0] == 0
    if length > size:
        assert starts[-1] + size == length
        for left, right in pairwise(starts):
            assert left + size - right >= math.floor(size * WINDOW_OVERLAP)


@given(logits=st.lists(floats, min_size=1, max_size=20))
def test_normalisations_compute_their_formulas(logits: list[float]) -> None:
    array = np.array(logits, dtype=np.float32)
    sigmoid = normalize(array, "sigmoid")
    assert sigmoid == pytest.approx([1 / (1 + math.exp(-x)) for x in array.tolist()])
    assert normalize(array, "none") == array.tolist()
    softmax = normalize(array, "softmax")
    assert sum(softmax) == pytest.approx(1)
    minmax = normalize(array, "minmax")
    assert max(minmax) == 1.0
    assert min(minmax) == (0.0 if min(logits) < max(logits) else 1.0)
    order = np.argsort(array, kind="stable")
    for scores in (sigmoid, softmax, minmax):
        assert all(0 <= score <= 1 for score in scores)
        assert all(type(score) is float for score in scores)
        assert np.all(np.diff(np.array(scores)[order]) >= 0)


def test_extreme_logits_do_not_overflow() -> None:
    extreme = np.array([-3e38, 0, 3e38], dtype=np.float32)
    with np.errstate(all="raise", under="ignore"):
        assert normalize(extreme, "sigmoid") == [0.0, 0.5, 1.0]
        assert normalize(extreme, "softmax") == [0.0, 0.0, 1.0]
        assert normalize(extreme, "minmax") == [0.0, 0.5, 1.0]


def test_calibration_finds_the_curve() -> None:
    generator = np.random.default_rng(0)
    logits = generator.normal(scale=4, size=20_000)
    labels = generator.random(20_000) < 1 / (1 + np.exp(-(0.7 * logits - 1.2)))
    fitted = Calibration.fit(logits.tolist(), labels.astype(int).tolist())
    assert fitted.slope == pytest.approx(0.7, abs=0.05)
    assert fitted.intercept == pytest.approx(-1.2, abs=0.1)
    assert fitted(np.array([1.2 / 0.7]))[0] == pytest.approx(0.5, abs=0.02)


def test_calibration_of_separable_data_is_finite() -> None:
    fitted = Calibration.fit([-1e3, -1e3 + 1, 1e3, 1e3 + 1], [0, 0, 1, 1])
    assert 0 < fitted.slope < 1
    assert fitted(np.array([1e3]))[0] > 0.7


@pytest.mark.parametrize(
    ("logits", "labels"),
    [
        ([1.0, 2.0], [1, 1]),
        ([1.0, 2.0], [0, 2]),
        ([1.0], [1, 0]),
        ([1.0, math.nan], [0, 1]),
        ([2.0, 1.0, 3.0, 0.5], [0, 1, 0, 1]),
        ([], []),
    ],
)
def test_calibration_refuses_labels_that_cannot_be_fitted(
    logits: list[float], labels: list[int]
) -> None:
    with pytest.raises(InvalidRequestError):
        Calibration.fit(logits, labels)


@pytest.mark.parametrize("slope", [0.0, -1.0, math.nan, math.inf, "1"])
def test_calibration_refuses_slopes_that_reverse_the_order(slope: float) -> None:
    with pytest.raises(InvalidRequestError, match="slope"):
        Calibration(slope=slope, intercept=0.0)


@pytest.mark.parametrize(
    ("config", "window"),
    [
        ({"model_type": "bert", "max_position_embeddings": 512, "pad_token_id": 0}, 512),
        ({"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}, 512),
        ({"model_type": "modernbert", "max_position_embeddings": 8192, "pad_token_id": 3}, 8192),
        ({"model_type": "deberta-v2", "max_position_embeddings": 512, "pad_token_id": 0}, 512),
    ],
)
def test_windows_are_those_of_the_architecture(config: dict[str, object], window: int) -> None:
    assert SequenceClassification().window(config) == window


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "bert", "architectures": ["BertModel"]},
        {"model_type": "bart", "architectures": ["BartForConditionalGeneration"]},
        {"model_type": "bert"},
        {},
    ],
)
def test_other_architectures_are_refused(config: dict[str, object]) -> None:
    from resift import UnsupportedModelError

    with pytest.raises(UnsupportedModelError, match="some-model"):
        find_family(config, None, "some-model")
    with pytest.raises(UnsupportedModelError, match="no_such_family"):
        find_family(config, "no_such_family", "some-model")


def test_surrogates_are_joined_or_replaced() -> None:
    assert encodable("plain") == "plain"
    assert encodable("é 👍 ع") == "é 👍 ع"
    assert encodable("a\ud83d\udc4db") == "a👍b"
    assert encodable("a\ud800b") == "a\ufffdb"


def test_numpy_options_become_python() -> None:
    options = RankOptions(top_n=np.int64(3), score_threshold=np.float32(0.5))  # type: ignore[arg-type]
    assert json.dumps([options.top_n, options.score_threshold]) == "[3, 0.5]"


def test_metadata_has_a_line_for_each_field_present() -> None:
    adapter = Adapter(
        reranker=None,
        top_n=None,
        score_threshold=None,
        metadata_fields=["title", "year", "draft"],
        options={},
    )
    assert adapter.text("body", {"year": 0, "title": "T", "other": 1}) == "title: T\nyear: 0\nbody"
    assert adapter.text(None, {"draft": False, "title": None}) == "draft: False\n"
    assert adapter.text("body", {}) == "body"
    assert adapter.text(None, {}) == ""
    assert adapter.text(3, {"title": "T"}) == 3
    json.dumps(adapter.to_dict())


@pytest.mark.parametrize("fields", ["title", [1], None, {"title"}])
def test_metadata_fields_are_checked(fields: object) -> None:
    with pytest.raises(InvalidRequestError, match="metadata_fields"):
        Adapter(
            reranker=None,
            top_n=None,
            score_threshold=None,
            metadata_fields=fields,  # type: ignore[arg-type]
            options={},
        )
