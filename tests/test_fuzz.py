"""The public surface, given anything: a ranking that holds together, or an error that says why.

``RESIFT_TEST_EXAMPLES=20000`` makes the run longer, as it does for the wire shapes.
"""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import tiny_models
from hypothesis import given
from hypothesis import strategies as st
from protocols.strategies import budget

from resift import (
    Calibration,
    InvalidRequestError,
    NonFiniteScoreError,
    Prior,
    Ranking,
    Reranker,
)
from resift.keywords import CallOptions

WORDS = [*tiny_models.WEIGHTS][4:]

anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 2**70),
        st.floats(),
        st.text(max_size=8),
        st.binary(max_size=4),
        st.builds(object),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=3), inner, max_size=2),
        st.tuples(inner, inner),
    ),
    max_leaves=4,
)
queries = st.one_of(st.sampled_from(WORDS), st.text(max_size=20), anything)
texts = st.one_of(
    st.none(),
    st.lists(st.sampled_from(WORDS), max_size=60).map(" ".join),
    st.text(max_size=30),
    st.text(st.characters(categories=["Cs", "Cc", "Co"]), max_size=4),
)
documents = st.one_of(
    st.lists(texts, max_size=12),
    st.lists(st.one_of(texts, anything), max_size=4),
    st.lists(texts, max_size=4).map(iter),
    anything,
)
scores = st.one_of(st.none(), st.floats(), st.integers(-9, 9))
plausible: dict[str, st.SearchStrategy[Any]] = {
    "top_n": st.integers(1, 20),
    "score_threshold": st.floats(-3, 3),
    "normalization": st.sampled_from(
        ["auto", "none", "sigmoid", "minmax", "softmax", Calibration(slope=2.0, intercept=0.1)]
    ),
    "max_length": st.integers(1, 40),
    "max_document_tokens": st.integers(1, 40),
    "long_documents": st.sampled_from(["truncate", "windows"]),
    "prune": st.sampled_from(["auto", "off"]),
    "prior": st.one_of(
        st.sampled_from(["auto", 0, 0.3]),
        st.builds(Prior, place_weight=st.floats(0, 3), score_weight=st.floats(-3, 3)),
    ),
    "deadline_ms": st.floats(0.001, 1000),
    "max_documents": st.integers(1, 9),
    "on_error": st.sampled_from(["raise", "first_stage"]),
    "first_stage_scores": st.lists(scores, max_size=12),
    "observer": st.none(),
}
options = st.fixed_dictionaries(
    {}, optional={name: st.one_of(each, anything) for name, each in plausible.items()}
)
likely = st.fixed_dictionaries({}, optional=plausible)


@pytest.fixture(scope="module")
def reranker(tmp_path_factory: pytest.TempPathFactory) -> Reranker:
    made = Reranker(tiny_models.build(tmp_path_factory.mktemp("fuzz")), backend="onnx")
    made.warm_up()
    return made


def check(ranking: Ranking, given_: dict[str, Any]) -> None:
    """Check all that holds of every ranking, whatever was asked."""
    count = ranking.counts.documents
    indices = [each.index for each in ranking]
    assert len(set(indices)) == len(indices)
    assert set(indices) <= set(range(count))
    scored = [each for each in ranking if each.posterior is not None]
    unscored = [each.index for each in ranking if each.posterior is None]
    assert list(ranking[: len(scored)]) == scored
    assert unscored == sorted(unscored)
    order = [(-(each.posterior or 0.0), each.index) for each in scored]
    assert order == sorted(order)
    for each in scored:
        assert all(math.isfinite(x) for x in (each.score, each.logit, each.posterior))  # type: ignore[arg-type]
        assert (ranking.prior is not None) or each.posterior == each.logit
    assert ranking.counts.scored + ranking.counts.pruned_documents <= count
    assert len(scored) <= ranking.counts.scored
    assert len(ranking) <= (given_.get("top_n") or count)
    threshold = given_.get("score_threshold")
    if threshold is not None:
        assert not unscored
        assert all(each.score is not None and each.score >= threshold for each in ranking)
    if ranking.status == "complete":
        assert ranking.error is None
        assert ranking.counts.scored == count
    json.dumps(ranking.to_dict(), allow_nan=False)


def test_every_option_is_tried() -> None:
    assert set(plausible) == {*CallOptions.__annotations__, "first_stage_scores"}


@budget
@given(query=queries, documents=documents, options=options)
def test_anything_is_ranked_or_refused(
    reranker: Reranker, query: Any, documents: Any, options: dict[str, Any]
) -> None:
    try:
        ranking = reranker.rank(query, documents, **options)
    except (InvalidRequestError, NonFiniteScoreError):
        return
    else:
        check(ranking, options)


@budget
@given(
    query=st.sampled_from(WORDS[:4]),
    documents=st.lists(texts.filter(lambda x: not {"nan", "huge"} & {*(x or "").split()})),
    options=likely,
)
def test_what_is_meant_well_is_ranked(
    reranker: Reranker, query: str, documents: list[str | None], options: dict[str, Any]
) -> None:
    if "first_stage_scores" in options:
        given_ = options["first_stage_scores"]
        options["first_stage_scores"] = [*given_, *[None] * len(documents)][: len(documents)]
    if options.get("prune") == "auto" and options.get("normalization") in ("minmax", "softmax"):
        del options["prune"]
    if options.get("max_length", 40) < 5 or options.get("max_length", 0) > 32:
        del options["max_length"]
    ranking = reranker.rank(query, documents, **options)
    check(ranking, options)
    assert ranking.counts.documents == len(documents)
