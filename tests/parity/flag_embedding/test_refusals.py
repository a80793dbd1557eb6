"""Other architectures, code in the folder, and faults of files and options."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from parity.encoders import transformers
from parity.flag_embedding.rerankers import (
    PAIRS,
    QUERY,
    Reference,
    edit,
    logits,
    make,
    open_backend,
)
from parity.flag_embedding.settings import LAYERS

from resift import BackendUnavailableError, Reranker, UnsupportedModelError


def test_it_runs_its_own_architectures_alone(reference: Reference, tmp_path: Path) -> None:
    documents = PAIRS[:5]
    expected = logits(reference.folder, QUERY, documents)
    named = logits(reference.folder, QUERY, documents, backend="flag_embedding")
    assert named.tolist() == expected.tolist()
    with pytest.raises(BackendUnavailableError, match="'flag_embedding'"):
        Reranker(reference.folder, backend="onnx").warm_up()
    config = transformers.BertConfig(hidden_size=16, num_attention_heads=2, num_hidden_layers=1)
    transformers.BertForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(BackendUnavailableError, match=r"Bert.*LayerWise.*leave backend out"):
        Reranker(tmp_path, backend="flag_embedding").warm_up()
    with pytest.raises(UnsupportedModelError, match=r"Bert.*expected one of.*LayerWise"):
        open_backend(tmp_path)


def test_code_of_the_folder_is_not_run(reference: Reference, tmp_path: Path) -> None:
    make(reference.kind, tmp_path)
    (tmp_path / "evil.py").write_text(
        "raise SystemExit('code of the folder was run')", encoding="utf-8"
    )
    names = {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}
    edit(tmp_path, auto_map=names)
    for backend in ("auto", "flag_embedding"):
        found = logits(tmp_path, QUERY, PAIRS[:5], backend=backend)
        np.testing.assert_allclose(found, logits(reference.folder, QUERY, PAIRS[:5]), atol=1e-6)


def test_faults_name_the_file(tmp_path: Path) -> None:
    reference = make("gemma2", tmp_path)
    weights = tmp_path / "model.safetensors"
    for field, value in (
        ("cutoff_layers", [28]),
        ("cutoff_layers", [2]),
        ("cutoff_layers", [4, 5]),
        ("cutoff_layers", 4),
        ("compress_ratio", 3),
        ("layer_wise", False),
    ):
        edit(tmp_path, **{**reference.fields, "layer_wise": True, field: value})
        with pytest.raises(UnsupportedModelError, match=r"config\.json has .*expected"):
            open_backend(tmp_path)
    edit(tmp_path, **reference.fields, layer_wise=True)
    with pytest.raises(UnsupportedModelError, match=r"pytorch_model\.bin.*safetensors"):
        open_backend(tmp_path, "pytorch_model.bin")
    with pytest.raises(UnsupportedModelError, match="language-modelling"):
        open_backend(tmp_path, vocabulary_ids=[1])
    for device in ("cuda:99", "abacus"):
        with pytest.raises(BackendUnavailableError, match=f"{device}.*'cpu'"):
            open_backend(tmp_path, device=device)
    # Weights of a model with fewer layers.
    edit(tmp_path, num_hidden_layers=LAYERS + 1)
    with pytest.raises(UnsupportedModelError, match=r"model\.safetensors lacks weights.*layers\.6"):
        open_backend(tmp_path)
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(UnsupportedModelError, match=r"model\.safetensors"):
        open_backend(tmp_path)
