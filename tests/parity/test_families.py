"""resift against transformers: small random models of every family, exported to ONNX."""

from __future__ import annotations

import numpy as np
import pytest
from parity.agreeing import TOLERANCE, agree
from parity.encoders import WINDOW, Encoder, export, make_model, make_tokenizer, saved
from parity.styles import STYLES
from parity.texts import DOCUMENTS, QUERY, WORDS

from resift import InvalidRequestError, Reranker
from resift.text.batch import Batch


@pytest.fixture(scope="module", params=STYLES)
def reference(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    folder = tmp_path_factory.mktemp(request.param)
    style = STYLES[request.param]
    tokenizer = make_tokenizer(style.tokenizer)
    tokenizer.save_pretrained(folder)
    names = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")
    model = make_model(style, tokenizer, **{name: getattr(tokenizer, name) for name in names})
    model.save_pretrained(folder)
    export(folder, dynamo=style.dynamo)
    return saved(style, folder)


@pytest.fixture(scope="module")
def reranker(reference: Encoder) -> Reranker:
    return Reranker(reference.folder, threads=2)


def test_ordinary_pairs_equal_the_reference(reference: Encoder, reranker: Reranker) -> None:
    documents = [document for document in DOCUMENTS if 0 < len(document.split()) < 12][:20]
    expected = reference.logits(QUERY, documents)
    # Otherwise the tolerance would tell nothing.
    assert expected.std() > 0.05
    ranking = reranker.rank(QUERY, documents)
    agree(ranking, expected)
    assert ranking.counts.truncated_documents == 0


def test_an_empty_document_equals_the_reference(reference: Encoder, reranker: Reranker) -> None:
    for documents in (["ferry"], [""], ["", "Harbour"]):
        agree(reranker.rank(QUERY, documents), reference.logits(QUERY, documents))
    assert reranker.rank(QUERY, [None])[0].logit == reranker.rank(QUERY, [""])[0].logit


def test_pairs_of_mixed_lengths_equal_the_reference(reference: Encoder, reranker: Reranker) -> None:
    ranking = reranker.rank(QUERY, DOCUMENTS)
    agree(ranking, reference.logits(QUERY, DOCUMENTS))
    specials = reference.tokenizer.num_special_tokens_to_add(pair=True)
    room = WINDOW - specials - len(reference.ids(QUERY))
    for result in ranking:
        tokens = len(reference.ids(DOCUMENTS[result.index]))
        assert result.truncated_tokens == max(0, tokens - room)
    assert 20 < ranking.counts.truncated_documents < 180
    assert not ranking.query_truncated


def test_a_shorter_max_length_equals_the_reference(reference: Encoder, reranker: Reranker) -> None:
    documents = DOCUMENTS[:30]
    expected = reference.logits("ferry", documents, 24)
    agree(reranker.rank("ferry", documents, max_length=24), expected)


def test_a_long_query_equals_the_reference(reference: Encoder, reranker: Reranker) -> None:
    query = " ".join(["Harbour ferry"] * 40)
    encoding = reference.tokenizer(query, add_special_tokens=False, return_offsets_mapping=True)
    cut = query[: encoding["offset_mapping"][WINDOW // 2 - 1][1]]
    assert reference.ids(cut) == encoding["input_ids"][: WINDOW // 2]
    documents = DOCUMENTS[:30]
    ranking = reranker.rank(query, documents)
    assert ranking.query_truncated
    agree(ranking, reference.logits(cut, documents))


def test_the_window_is_the_models_own(reference: Encoder, reranker: Reranker) -> None:
    long = " ".join(WORDS)
    ranking = reranker.rank(QUERY, [long], max_length=WINDOW)
    assert ranking.counts.tokens == WINDOW
    agree(ranking, reference.logits(QUERY, [long], WINDOW))
    with pytest.raises(InvalidRequestError, match=f"at most {WINDOW}"):
        reranker.rank(QUERY, [long], max_length=WINDOW + 1)
    if reference.style.absolute:
        with pytest.raises((IndexError, RuntimeError)):
            reference.logits(QUERY, [long], WINDOW + 1)


def test_token_ids_types_and_padding_equal_the_reference(
    reference: Encoder, forwarded: list[Batch]
) -> None:
    documents = DOCUMENTS[:12]
    Reranker(reference.folder, max_batch_tokens=10_000).rank(QUERY, documents)
    (batch,) = forwarded
    expected = {name: rows.numpy() for name, rows in reference.encode(QUERY, documents).items()}
    longest_first = np.argsort(-expected["attention_mask"].sum(axis=1), kind="stable")
    assert expected.keys() >= {"input_ids", "attention_mask"}
    for name, rows in expected.items():
        np.testing.assert_array_equal(getattr(batch, name), rows[longest_first])
    assert batch.input_ids[-1, -1] == reference.tokenizer.pad_token_id


@pytest.mark.parametrize("reference", ["bert", "xlm-roberta", "modernbert"], indirect=True)
def test_sentence_transformers(reference: Encoder, reranker: Reranker) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    encoder = sentence_transformers.CrossEncoder(
        str(reference.folder), device="cpu", max_length=WINDOW
    )
    ours = reranker.rank("ferry", DOCUMENTS, top_n=20)
    theirs = encoder.rank("ferry", DOCUMENTS, top_k=20)
    scores = [hit["score"] for hit in theirs]
    assert [result.score for result in ours] == pytest.approx(scores, abs=TOLERANCE)
    assert [result.index for result in ours] == [hit["corpus_id"] for hit in theirs]
