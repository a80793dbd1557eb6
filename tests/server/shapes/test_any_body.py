"""Any body at all: ranked or refused, in one shape."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resift.protocols import PROTOCOLS, WireError
from resift.protocols.routes import ROUTES, choose_shape

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)
KEYS = [
    "query", "documents", "texts", "model", "top_n", "top_k", "raw_scores", "property", "queries",
    "text_1", "text_2", "requests", "return_documents", "rank_fields", "max_tokens_per_doc",
    "truncate_prompt_tokens", "prior", "normalization", "deadline_ms", "max_length",
]  # fmt: skip
plausible = st.fixed_dictionaries(
    {"query": st.text(max_size=5), "documents": st.lists(st.text(max_size=5), max_size=3)},
    optional={name: anything for name in KEYS if name not in ("query", "documents")},
)


@settings(max_examples=150, deadline=None, suppress_health_check=[*HealthCheck])
@given(
    path=st.sampled_from(sorted(ROUTES)),
    body=st.one_of(anything, st.dictionaries(st.sampled_from(KEYS), anything), plausible),
)
def test_anything_is_ranked_or_refused(path: str, body: Any, server: httpx.Client) -> None:
    answer = server.post(path, content=json.dumps(body).encode())
    assert answer.status_code in (200, 400, 413, 422), answer.text
    if answer.status_code != 200:
        said = answer.json()["error"]
        assert (said["message"] if isinstance(said, dict) else said).strip()


@given(path=st.sampled_from(sorted(ROUTES)), body=st.dictionaries(st.sampled_from(KEYS), anything))
def test_every_body_has_one_shape(path: str, body: dict[str, Any]) -> None:
    shape = choose_shape(path, body)
    assert shape.name in {*PROTOCOLS, "common"}
    parts = path.strip("/").split("/")
    if parts[0] in ("tei", "jina", "voyage", "infinity", "weaviate"):
        assert shape.name == parts[0]


@pytest.mark.parametrize("body", [[], "text", 3, None])
def test_a_body_that_is_no_object_has_no_shape(body: Any) -> None:
    with pytest.raises(WireError, match="must be an object"):
        choose_shape("/rerank", body)
