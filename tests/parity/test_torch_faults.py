"""Backend torch: what isn't a number, and files that are damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity.texts import DOCUMENTS, QUERY
from parity.torch_models import SMALL, logits, make_encoder, torch, transformers

from resift import NonFiniteScoreError, Reranker, UnsupportedModelError
from resift.backends.torch.backend import TorchBackend


def test_nan_in_the_weights_is_an_error(tmp_path: Path, device: str) -> None:
    reference = make_encoder("bert", tmp_path)
    reference.model.bert.embeddings.word_embeddings.weight.data[reference.ids("ferry")[0]] = (
        torch.nan
    )
    reference.model.save_pretrained(tmp_path)
    for precision in ("fp32", "bf16", "fp16"):
        reranker = Reranker(tmp_path, backend="torch", device=device, precision=precision)
        with pytest.raises(NonFiniteScoreError, match="torch") as caught:
            reranker.rank(QUERY, ["Harbour", "ferry"])
        assert caught.value.indices == (1,)


def test_overflow_in_float16_is_computed_again_in_float32(tmp_path: Path, device: str) -> None:
    reference = make_encoder("bert", tmp_path)
    reference.model.classifier.weight.data *= 1e6
    reference.model.save_pretrained(tmp_path)
    found = logits(tmp_path, QUERY, DOCUMENTS[:4], device=device, precision="fp16")
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, reference.logits(QUERY, DOCUMENTS[:4]), rtol=1e-3)


def test_float32_has_a_budget_of_its_own(tmp_path: Path, sizes: list[int]) -> None:
    """A batch that fits the memory in float16 needn't fit in float32."""
    reference = make_encoder("bert", tmp_path)
    reference.model.classifier.weight.data *= 1e6
    reference.model.save_pretrained(tmp_path)
    options: dict[str, Any] = {"precision": "fp16", "max_batch_tokens": 3 * 1024}
    found = logits(tmp_path, QUERY, DOCUMENTS[:60], device="cpu", **options)
    np.testing.assert_allclose(found, reference.logits(QUERY, DOCUMENTS[:60]), rtol=1e-3)
    first, *again = sizes
    assert first > 2 * 1024
    assert len(again) >= 3
    assert max(again) <= 1024


def test_faults_name_the_file(tmp_path: Path) -> None:
    make_encoder("bert", tmp_path)
    weights = tmp_path / "model.safetensors"
    (tmp_path / "other.safetensors").write_bytes(weights.read_bytes())
    options: dict[str, Any] = {"device": "cpu", "precision": "fp32", "threads": 1}
    with pytest.raises(UnsupportedModelError, match=r"other\.safetensors.*expected"):
        TorchBackend(tmp_path / "other.safetensors", **options)
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(UnsupportedModelError, match=r"model\.safetensors"):
        TorchBackend(weights, **options)
    transformers.BertModel(transformers.BertConfig(**{**SMALL, "vocab_size": 500})).save_pretrained(
        tmp_path
    )
    with pytest.raises(UnsupportedModelError, match=r"classifier.*embedding model"):
        TorchBackend(weights, **options)
