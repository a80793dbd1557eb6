"""Exports of every architecture, in each precision: their logits, graphs and cards."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity.encoders import LAYERS, WINDOW, save_encoder
from parity.export.graphs import attention_lengths, kinds, onnx
from parity.export.logits import engine_logits, source_logits
from parity.texts import DOCUMENTS, QUERY

import resift.export.command as exporting
from resift import Reranker

FUSED = {"bert", "bert-2", "xlm-roberta", "modernbert", "albert"}
PLAIN = {"deberta-v2"}


@dataclass(frozen=True)
class Exported:
    name: str
    precision: str
    source: Path
    folder: Path
    card: dict[str, Any]

    @property
    def weights(self) -> Path:
        return self.folder / str(self.card["artifacts"][0]["file"])


@pytest.fixture(
    scope="module",
    params=[(name, precision) for name in sorted(FUSED | PLAIN) for precision in ("fp32", "int8")],
    ids="-".join,
)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    name, precision = request.param
    source = save_encoder(name, tmp_path_factory.mktemp(name) / "source")
    folder = source.with_name("exported")
    return Exported(name, precision, source, folder, exporting.export(source, folder, precision))


def test_the_engine_gives_the_sources_logits(exported: Exported) -> None:
    documents = DOCUMENTS[:60]
    expected = source_logits(exported.source, documents)
    found = engine_logits(exported.folder, documents)
    difference = float(np.abs(found - expected).max())
    assert difference <= exported.card["tolerance"]
    # Otherwise the tolerance would tell nothing.
    spread = float(np.ptp(expected)) / 2
    assert exported.card["tolerance"] <= {"fp32": 1e-4, "int8": spread}[exported.precision]
    assert bool(difference > 1e-3) is (exported.precision == "int8")
    ranking = Reranker(exported.folder).rank(QUERY, documents[:2])
    assert ranking.precision == exported.precision
    assert ranking.revision == exported.card["revision"]


def test_neighbours_do_not_matter(exported: Exported) -> None:
    options: dict[str, Any] = {"backend": "onnx", "normalization": "none", "max_length": WINDOW}
    single = Reranker(exported.folder, max_batch_tokens=1, **options)
    documents = DOCUMENTS[:40]
    alone = np.array(single.score(QUERY, documents))
    assert alone.std() > 0.05
    bound = exported.card["neighbour_tolerance"]
    for budget in (256, 4096):
        together = Reranker(exported.folder, max_batch_tokens=budget, **options)
        order = np.random.default_rng(budget).permutation(40)
        found = together.score(QUERY, [documents[at] for at in order])
        assert np.abs(np.array(found) - alone[order]).max() <= bound


def test_the_card_tells_the_truth_about_attention(exported: Exported) -> None:
    model = onnx.load(exported.weights)
    operators = kinds(model)
    fused = exported.name in FUSED
    assert exported.card["attention"] == ("fused" if fused else "plain")
    assert operators.count("Attention") == (LAYERS if fused else 0)
    assert ("Softmax" in operators) is not fused


def test_the_last_layer_is_for_the_first_token_alone(exported: Exported) -> None:
    fused = exported.name in FUSED
    assert exported.card["last_layer"] == ("first token" if fused else "all tokens")
    lengths = attention_lengths(onnx.load(exported.weights))
    assert lengths == ([9] * (LAYERS - 1) + [1] if fused else [])


def test_linear_layers_run_in_int8(exported: Exported) -> None:
    model = onnx.load(exported.weights)
    constants = {each.name for each in model.graph.initializer}
    operators = kinds(model)
    by_constants = [
        node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in constants
    ]
    if exported.precision == "int8":
        assert operators.count("MatMulIntegerToFloat") >= 4 * LAYERS
        assert by_constants == []
        # Once for the three products of each attention that take the same tokens, but for the last
        # layer's queries, which take the first token; ModernBERT has one product for all three.
        shared = 2 * LAYERS - (exported.name in FUSED)
        shared = 0 if exported.name == "modernbert" else shared
        assert operators.count("QuantizeLinear") <= operators.count("MatMulIntegerToFloat") - shared
    else:
        assert "MatMulIntegerToFloat" not in operators


def test_the_card_names_files_and_digests(exported: Exported) -> None:
    card = json.loads((exported.folder / "card.json").read_text(encoding="utf-8"))
    assert card == exported.card
    assert card["schema"] == 1
    wanted = ["fp32"] if exported.precision == "fp32" else ["int8", "fp32"]
    assert [artifact["precision"] for artifact in card["artifacts"]] == wanted
    for artifact in card["artifacts"]:
        digest = sha256((exported.folder / artifact["file"]).read_bytes()).hexdigest()
        assert artifact["sha256"] == digest
    assert card["revision"] == card["artifacts"][0]["sha256"][:12]
    assert card["max_length"] == card["window"] == WINDOW
    assert set(card["tools"]) >= {"resift", "torch", "transformers", "onnx", "onnxruntime"}
    tokenizer = json.loads((exported.folder / "tokenizer.json").read_text(encoding="utf-8"))
    assert tokenizer["truncation"] is tokenizer["padding"] is None
    assert str(exported.source.parent) not in (exported.folder / "config.json").read_text(
        encoding="utf-8"
    )
    assert [path.name for path in exported.folder.parent.glob(".*")] == []


def test_golden_pairs_have_the_exports_logits(exported: Exported) -> None:
    golden = json.loads((exported.folder / "golden.json").read_text(encoding="utf-8"))
    assert golden["model_sha256"] == exported.card["artifacts"][0]["sha256"]
    assert len(golden["pairs"]) == 6
    reranker = Reranker(exported.folder)
    for pair in golden["pairs"]:
        (result,) = reranker.rank(pair["query"], [pair["document"]])
        assert result.logit == pytest.approx(pair["logit"], abs=1e-5)
