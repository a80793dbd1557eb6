"""Backend torch: encoders against transformers, ONNX, sentence-transformers and FlagEmbedding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from parity.agreeing import agree
from parity.encoders import WINDOW, Encoder, export
from parity.texts import DOCUMENTS, QUERY, WORDS
from parity.torch_models import (
    HALF,
    PACKED,
    PADDED,
    check_half,
    logits,
    make_encoder,
    torch,
)

from resift import Reranker

LONG_QUERY = " ".join(["Harbour ferry"] * 40)


@pytest.fixture(scope="module", params=sorted(PACKED | PADDED))
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    name = request.param
    return make_encoder(name, tmp_path_factory.mktemp(name))


def test_encoders_give_transformers_logits(encoder: Encoder, device: str) -> None:
    reranker = Reranker(encoder.folder, backend="torch", device=device)
    expected = encoder.logits(QUERY, DOCUMENTS)
    assert expected.std() > 0.05
    ranking = reranker.rank(QUERY, DOCUMENTS)
    agree(ranking, expected)
    assert (ranking.backend, ranking.device, ranking.precision) == ("torch", device, "fp32")
    for documents in (["ferry"], [""], ["", "Harbour"]):
        agree(reranker.rank(QUERY, documents), encoder.logits(QUERY, documents))
    # 500 pairs in one request.
    many = [f"{text} {extra}" for extra in WORDS[:3] for text in DOCUMENTS][:500]
    agree(reranker.rank("ferry", many), encoder.logits("ferry", many))
    whole = encoder.tokenizer(LONG_QUERY, add_special_tokens=False, return_offsets_mapping=True)
    cut = LONG_QUERY[: whole["offset_mapping"][WINDOW // 2 - 1][1]]
    ranking = reranker.rank(LONG_QUERY, DOCUMENTS[:30])
    assert ranking.query_truncated
    agree(ranking, encoder.logits(cut, DOCUMENTS[:30]))


def test_logits_equal_onnx_and_sentence_transformers(tmp_path: Path, device: str) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    for name in ("bert", "xlm-roberta", "modernbert", "deberta-v2"):
        reference = make_encoder(name, tmp_path / name)
        export(reference.folder, dynamo=False)
        ours = logits(reference.folder, QUERY, DOCUMENTS, device=device)
        agree(Reranker(reference.folder, backend="onnx").rank(QUERY, DOCUMENTS), ours)
        encoder = sentence_transformers.CrossEncoder(
            str(reference.folder), device="cpu", max_length=WINDOW
        )
        theirs = encoder.predict(
            [("ferry", text) for text in DOCUMENTS], activation_fn=torch.nn.Identity()
        )
        reranker = Reranker(reference.folder, backend="torch", device=device)
        agree(reranker.rank("ferry", DOCUMENTS), theirs)


def test_encoder_scores_equal_flag_embedding(tmp_path: Path, device: str) -> None:
    flag = pytest.importorskip("FlagEmbedding")
    reference = make_encoder("xlm-roberta", tmp_path)
    theirs = flag.FlagReranker(str(tmp_path), use_fp16=False, devices=["cpu"], max_length=WINDOW)
    # Without the empty one: FlagEmbedding leaves out the separators before it.
    short = [text for text in DOCUMENTS if 0 < len(text.split()) < 6]
    scores = theirs.compute_score([["ferry", text] for text in short], normalize=True)
    ours = Reranker(reference.folder, backend="torch", device=device, max_length=WINDOW)
    assert ours.score("ferry", short) == pytest.approx(scores, abs=1e-4)


def test_neighbours_change_nothing(encoder: Encoder, device: str) -> None:
    alone = [logits(encoder.folder, QUERY, [text], device=device)[0] for text in DOCUMENTS[:6]]
    together = logits(encoder.folder, QUERY, DOCUMENTS, device=device, max_batch_tokens=100_000)
    assert together[:6] == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize("precision", HALF)
def test_half_precision_is_close_to_float32(encoder: Encoder, precision: str, device: str) -> None:
    expected = encoder.logits(QUERY, DOCUMENTS)
    options: dict[str, Any] = {"precision": precision, "device": device}
    check_half(encoder.folder, QUERY, DOCUMENTS, expected, **options)


def test_weights_stored_in_bfloat16_run_in_float32(tmp_path: Path, device: str) -> None:
    reference = make_encoder("bert", tmp_path, torch.bfloat16)
    agree(
        Reranker(tmp_path, backend="torch", device=device).rank(QUERY, DOCUMENTS),
        reference.logits(QUERY, DOCUMENTS),
    )
