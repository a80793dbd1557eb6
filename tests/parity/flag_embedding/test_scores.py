"""Logits and scores, whole texts and cut ones, are those of FlagEmbedding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from parity.agreeing import agree
from parity.flag_embedding.rerankers import PAIRS, QUERY, Reference, make, open_backend
from parity.flag_embedding.settings import FIELDS, LAYERS
from parity.texts import DOCUMENTS

from resift import Reranker

LONG_QUERY = " ".join(["Harbour ferry"] * 60)


def test_logits_equal_flag_embedding(reference: Reference) -> None:
    whole = [text for text in PAIRS if len(text) < 1500]
    assert len(whole) > 90
    expected = reference.scores(QUERY, whole)
    assert expected.std() > 0.1
    reranker = Reranker(reference.folder, max_length=1000)
    ranking = reranker.rank(QUERY, whole)
    assert ranking.counts.truncated_documents == 0
    assert (ranking.backend, ranking.device, ranking.precision) == ("flag_embedding", "cpu", "fp32")
    agree(ranking, expected)
    for documents in (["ferry"], [""], ["", "Harbour"]):
        agree(reranker.rank(QUERY, documents), reference.scores(QUERY, documents))


def test_scores_equal_flag_embedding(reference: Reference) -> None:
    documents = [text for text in DOCUMENTS if len(text.split()) < 12][:25]
    expected = reference.scores(QUERY, documents, normalize=True)
    assert Reranker(reference.folder).score(QUERY, documents) == pytest.approx(expected, abs=1e-4)


def test_long_documents_lose_their_tail(reference: Reference) -> None:
    query, documents = " ".join(["ferry?"] * reference.end), PAIRS[-20:]
    for length in (5 * len(reference.ids(query)) // 2, 600):
        expected = reference.cut(query, documents, length)
        ranking = Reranker(reference.folder, max_length=length).rank(query, documents)
        assert ranking.counts.truncated_documents > 1
        assert not ranking.query_truncated
        agree(ranking, expected)


def test_a_query_keeps_at_most_half(reference: Reference) -> None:
    length = 3 * reference.end
    documents = PAIRS[-40:]
    ranking = Reranker(reference.folder, max_length=length).rank(LONG_QUERY, documents)
    assert ranking.query_truncated
    agree(ranking, reference.cut(LONG_QUERY, documents, length))


@pytest.mark.parametrize("ratio", [1, 2, 4, 8])
def test_compressed_documents_score_as_in_flag_embedding(tmp_path: Path, ratio: int) -> None:
    fields = {"cutoff_layers": [LAYERS], "compress_layers": [3], "compress_ratio": ratio}
    reference = make("gemma2", tmp_path, fields=fields)
    documents = PAIRS[:30]
    agree(Reranker(tmp_path).rank(QUERY, documents), reference.scores(QUERY, documents))


@pytest.mark.parametrize("kind", FIELDS)
def test_the_model_cards_options_are_the_defaults(tmp_path: Path, kind: str) -> None:
    reference = make(kind, tmp_path, layers=32, fields={})
    documents = PAIRS[:20]
    expected = reference.scores(QUERY, documents)
    assert np.abs(expected - reference.scores(QUERY, documents, cutoff_layers=[32])).max() > 0.01
    agree(Reranker(tmp_path).rank(QUERY, documents), expected)
    network = open_backend(tmp_path)._network
    # The loop ends where it meets the last of these.
    assert len(network.model.model.layers) == 29
