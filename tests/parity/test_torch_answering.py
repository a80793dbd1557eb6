"""Backend torch: language models that answer, against transformers and FlagEmbedding."""

from __future__ import annotations

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity.agreeing import agree
from parity.texts import DOCUMENTS, WORDS
from parity.torch_models import ANSWERING, HALF, Answering, check_half, make_answering, torch

from resift import Reranker, UnsupportedModelError
from resift.backends.torch import checkpoint
from resift.backends.torch.backend import TorchBackend
from resift.families.prompts import (
    BGE_RERANKER_GEMMA,
    MONO_T5,
    MXBAI_RERANK_V2,
    QWEN3_RERANKER,
    RANK_T5,
)
from resift.families.table import FAMILIES
from resift.text.batch import Batch


@pytest.fixture(scope="module", params=ANSWERING)
def answering(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Answering:
    return make_answering(request.param, tmp_path_factory.mktemp(request.param))


def test_answers_give_transformers_logits(answering: Answering, device: str) -> None:
    documents = [*[text for text in DOCUMENTS if len(text.split()) < 12][:25], ""]
    expected = np.array([answering.logit("ferry?", text) for text in documents], np.float32)
    assert expected.std() > 0.02
    reranker = Reranker(answering.folder, backend="torch", device=device)
    ranking = reranker.rank("ferry?", documents)
    agree(ranking, expected)
    assert ranking.counts.truncated_documents == 0
    for text, logit in zip(documents[:3], expected, strict=False):
        assert reranker.rank("ferry?", [text])[0].logit == pytest.approx(logit, abs=1e-5)


@pytest.mark.parametrize("precision", HALF)
def test_half_precision_is_close_to_float32(
    answering: Answering, precision: str, device: str
) -> None:
    documents = [text for text in DOCUMENTS if len(text.split()) < 12][:25]
    expected = np.array([answering.logit("ferry?", text) for text in documents], np.float32)
    # monoT5's logit here is a small difference of two that aren't.
    largest = 5 * float(np.abs(expected).max()) if answering.family == "mono_t5" else None
    options: dict[str, Any] = {"precision": precision, "device": device, "largest": largest}
    check_half(answering.folder, "ferry?", documents, expected, **options)


def test_the_prompts_end_is_never_cut(answering: Answering, device: str) -> None:
    long = " ".join(WORDS * 3)
    length = 400 if "t5" in answering.family else 800
    reranker = Reranker(answering.folder, backend="torch", device=device, max_length=length)
    ranking = reranker.rank("ferry", [long])
    assert ranking.counts.tokens == length
    kept = len(answering.ids(f" {long}")) - ranking[0].truncated_tokens
    # The longest beginning of the document with as many tokens.
    texts = (" ".join((WORDS * 3)[:count]) for count in range(3 * len(WORDS), 0, -1))
    shorter = next(text for text in texts if len(answering.ids(f" {text}")) <= kept)
    (whole,) = reranker.rank("ferry", [shorter])
    assert whole.truncated_tokens == 0
    assert whole.logit == pytest.approx(answering.logit("ferry", shorter), abs=1e-4)


def _answers(answering: Answering) -> Sequence[str]:
    prompt = FAMILIES[answering.family]().prompt
    assert prompt is not None
    return prompt.answers


def test_only_the_answers_rows_are_computed(answering: Answering) -> None:
    ids = [answering.token(each) for each in _answers(answering)]
    network = checkpoint.read_checkpoint(
        answering.folder / "model.safetensors", torch.device("cpu"), torch.float32, ids
    )
    assert network.model.get_output_embeddings().out_features == len(ids) in (1, 2)


# Those of all layers would take more memory than all the rest of a pass.
def test_no_keys_and_values_are_kept(answering: Answering, device: str) -> None:
    path = answering.folder / "model.safetensors"
    ids = [answering.token(each) for each in _answers(answering)]
    backend = TorchBackend(path, device=device, precision="fp32", threads=1, vocabulary_ids=ids)
    kept: list[Any] = []
    model = backend._network.model
    model.register_forward_hook(lambda *given: kept.append(given[-1].past_key_values))
    rows = np.full((2, 5), 5)
    batch = Batch(rows, np.ones_like(rows), np.zeros_like(rows))
    # A thread that runs a pass has one of torch's threads from then on.
    with ThreadPoolExecutor(1) as pool:
        pool.submit(backend.forward, batch).result()
    assert kept == [None]


def test_a_vocabulary_without_the_answers_is_refused(tmp_path: Path) -> None:
    answering = make_answering("bge_reranker_gemma", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    config["architectures"] = ["T5ForConditionalGeneration"]
    config["n_positions"] = 512
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UnsupportedModelError, match=r"tokenizer\.json.*true"):
        Reranker(answering.folder, backend="torch").rank("a", ["b"])


def test_language_model_scores_equal_flag_embedding(tmp_path: Path, device: str) -> None:
    flag = pytest.importorskip("FlagEmbedding")
    answering = make_answering("bge_reranker_gemma", tmp_path)
    answering.tokenizer.add_special_tokens({"bos_token": "<bos>"})
    answering.tokenizer.save_pretrained(tmp_path)
    theirs = flag.FlagLLMReranker(str(tmp_path), use_fp16=False, devices=["cpu"])
    documents = [text for text in DOCUMENTS if len(text.split()) < 12][:25]
    scores = theirs.compute_score([["ferry", text] for text in documents], normalize=True)
    ours = Reranker(tmp_path, backend="torch", device=device)
    assert ours.score("ferry", documents) == pytest.approx(scores, abs=1e-4)


def test_prompts_are_distinct() -> None:
    prompts = [QWEN3_RERANKER, MXBAI_RERANK_V2, BGE_RERANKER_GEMMA, MONO_T5, RANK_T5]
    assert len({(prompt.after, prompt.answers) for prompt in prompts}) == len(prompts)
