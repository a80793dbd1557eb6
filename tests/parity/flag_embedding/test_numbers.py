"""Half precision, overflow and NaN."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from parity.encoders import torch
from parity.flag_embedding.rerankers import PAIRS, QUERY, Reference, edit, logits, make

from resift import NonFiniteScoreError, Reranker


@pytest.mark.parametrize(("precision", "bound"), [("bf16", 0.15), ("fp16", 0.02)])
def test_half_precision_is_close_to_float32(
    reference: Reference, precision: str, bound: float
) -> None:
    expected = reference.scores(QUERY, PAIRS[:30])
    found = logits(reference.folder, QUERY, PAIRS[:30], precision=precision)
    assert found.dtype == np.float32
    assert 1e-5 < np.abs(found - expected).max() < bound * np.abs(expected).max()


def test_overflow_in_float16_is_computed_again_in_float32(tmp_path: Path) -> None:
    reference = make("minicpm", tmp_path)
    for head in reference.theirs.model.lm_head:
        head.linear_head.weight.data *= 1e6
    reference.theirs.model.save_pretrained(tmp_path)
    edit(tmp_path, **reference.fields)
    found = logits(tmp_path, QUERY, PAIRS[:5], precision="fp16")
    np.testing.assert_allclose(found, reference.scores(QUERY, PAIRS[:5]), rtol=1e-3)


def test_nan_in_the_weights_is_an_error(reference: Reference, tmp_path: Path) -> None:
    broken = make(reference.kind, tmp_path)
    model = broken.theirs.model
    model.model.embed_tokens.weight.data[broken.ids("B: ferry")[-1]] = torch.nan
    model.save_pretrained(tmp_path)
    edit(tmp_path, **broken.fields)
    with pytest.raises(NonFiniteScoreError, match="flag_embedding") as caught:
        Reranker(tmp_path).rank("Harbour", ["Harbour", "ferry"])
    assert caught.value.indices == (1,)
