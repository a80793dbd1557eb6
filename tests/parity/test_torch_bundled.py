"""Backend torch: the bundled model, from the weights of its graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity.texts import DOCUMENTS
from parity.torch_models import HALF

from resift import Reranker, UnsupportedModelError
from resift.backends.torch.backend import TorchBackend
from resift.testing import QUERY, TEXTS


def test_the_bundled_model_scores_as_on_onnx(device: str) -> None:
    texts = [*TEXTS, "", "word " * 700, "[SEP] and [CLS]", *DOCUMENTS[:40]]
    for query in (QUERY, "\u200b", "what does [SEP] mean"):
        exact = Reranker(backend="onnx", precision="fp32")
        expected = exact.score(query, texts, normalization="none")
        found = Reranker(backend="torch", device=device).score(query, texts, normalization="none")
        assert found == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("precision", "bound"), HALF.items())
def test_the_bundled_model_in_half_precision(precision: str, bound: float, device: str) -> None:
    texts = [*TEXTS, "", "word " * 700, *DOCUMENTS[:40]]
    exact = Reranker(backend="onnx", precision="fp32", normalization="none")
    expected = np.array(exact.score(QUERY, texts))
    options: dict[str, Any] = {"precision": precision, "device": device, "normalization": "none"}
    found = Reranker(backend="torch", **options).score(QUERY, texts)
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound * np.abs(expected).max())


def test_the_bundled_model_prunes(device: str) -> None:
    texts = [f"{text} {n}" for n in range(4) for text in TEXTS]
    options: dict[str, Any] = {"top_n": 2, "prune": "auto"}
    expected = Reranker(backend="onnx", precision="fp32").rank(QUERY, texts, **options)
    found = Reranker(backend="torch", device=device).rank(QUERY, texts, **options)
    assert found.counts.pruned_documents == expected.counts.pruned_documents > 0
    assert [each.index for each in found] == [each.index for each in expected]
    assert found.status == "complete"


def test_the_bundled_model_without_the_kernel(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resift.backends.torch.late_interaction.has_kernel", lambda *_: False)
    exact = Reranker(backend="onnx", precision="fp32")
    expected = exact.score(QUERY, TEXTS, normalization="none")
    found = Reranker(backend="torch", device=device).score(QUERY, TEXTS, normalization="none")
    assert found == pytest.approx(expected, abs=1e-4)


def test_another_graph_is_refused(tmp_path: Path) -> None:
    import tiny_models

    folder = tiny_models.build(tmp_path)
    with pytest.raises(UnsupportedModelError, match=r"model\.onnx.*late_interaction"):
        TorchBackend(folder / "model.onnx", device=None, precision="fp32", threads=1)
