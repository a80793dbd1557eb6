"""``resift export``: small random models against transformers."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from parity.encoders import WINDOW, make_tokenizer, randomise
from parity.styles import STYLES
from parity.texts import DOCUMENTS, QUERY

import resift.export.command as exporting
from resift import BackendUnavailableError, InvalidRequestError, Reranker, UnsupportedModelError
from resift.backends.onnx import ort
from resift.cli.main import main
from resift.export import calibration, graph, libraries
from resift.export.int8 import pair_sums

torch: Any = pytest.importorskip("torch")
transformers: Any = pytest.importorskip("transformers")
onnx: Any = pytest.importorskip("onnx")

LAYERS = 2
FUSED = {"bert", "bert-2", "xlm-roberta", "modernbert", "albert"}
PLAIN = {"deberta-v2"}


def make(name: str, folder: Path, **changes: Any) -> Path:
    """A folder as ``save_pretrained`` leaves it."""
    style = STYLES[name]
    tokenizer = make_tokenizer(style.tokenizer)
    tokenizer.save_pretrained(folder)
    padding = tokenizer.pad_token_id
    unused = padding + 1 if style.unused_positions is None else style.unused_positions
    config = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "max_position_embeddings": WINDOW + unused,
        "num_labels": style.labels,
        "pad_token_id": padding,
        **style.config,
        **changes,
    }
    model = getattr(transformers, f"{style.model}ForSequenceClassification")(
        getattr(transformers, f"{style.model}Config")(**config)
    )
    randomise(model)
    model.save_pretrained(folder)
    return folder


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


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make("bert", tmp_path_factory.mktemp("bert"))


@pytest.fixture(
    scope="module",
    params=[(name, precision) for name in sorted(FUSED | PLAIN) for precision in ("fp32", "int8")],
    ids="-".join,
)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    name, precision = request.param
    source = make(name, tmp_path_factory.mktemp(name) / "source")
    folder = source.with_name("exported")
    return Exported(name, precision, source, folder, exporting.export(source, folder, precision))


def source_logits(folder: Path, documents: list[str]) -> NDArray[np.float32]:
    auto = transformers.AutoModelForSequenceClassification
    model = auto.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    inputs = tokenizer(
        [QUERY] * len(documents),
        documents,
        truncation="only_second",
        max_length=WINDOW,
        padding=True,
        return_tensors="pt",
        return_token_type_ids=int(getattr(model.config, "type_vocab_size", 0)) > 1,
    )
    with torch.no_grad():
        logits: NDArray[np.float32] = model(**inputs).logits.numpy()
    return logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]


def engine_logits(folder: Path, documents: list[str], **options: Any) -> NDArray[np.float32]:
    ranking = Reranker(folder, **options).rank(QUERY, documents)
    logits = {result.index: result.logit for result in ranking}
    return np.array([logits[index] for index in range(len(documents))], dtype=np.float32)


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
    kinds = [node.op_type for node in model.graph.node]
    fused = exported.name in FUSED
    assert exported.card["attention"] == ("fused" if fused else "plain")
    assert kinds.count("Attention") == (LAYERS if fused else 0)
    assert ("Softmax" in kinds) is not fused


def test_the_last_layer_is_for_the_first_token_alone(exported: Exported) -> None:
    fused = exported.name in FUSED
    assert exported.card["last_layer"] == ("first token" if fused else "all tokens")
    lengths = attention_lengths(onnx.load(exported.weights))
    assert lengths == ([9] * (LAYERS - 1) + [1] if fused else [])


def session_of(model: Any) -> Any:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options)


def attention_lengths(model: Any) -> list[int]:
    """The number of tokens, of nine, that each attention is computed for."""
    info = onnx.helper.make_tensor_value_info
    names = [node.output[0] for node in model.graph.node if node.op_type == "Attention"]
    del model.graph.output[:]
    model.graph.output.extend(info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = session_of(model)
    feed = {node.name: np.ones((2, 9), dtype=np.int64) for node in session.get_inputs()}
    return [output.shape[2] for output in session.run(names, feed)] if names else []


def test_linear_layers_run_in_int8(exported: Exported) -> None:
    model = onnx.load(exported.weights)
    constants = {each.name for each in model.graph.initializer}
    kinds = [node.op_type for node in model.graph.node]
    by_constants = [
        node for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in constants
    ]
    if exported.precision == "int8":
        assert kinds.count("MatMulIntegerToFloat") >= 4 * LAYERS
        assert by_constants == []
        # Once for the three products of each attention that take the same tokens, but for the last
        # layer's queries, which take the first token; ModernBERT has one product for all three.
        shared = 2 * LAYERS - (exported.name in FUSED)
        shared = 0 if exported.name == "modernbert" else shared
        assert kinds.count("QuantizeLinear") <= kinds.count("MatMulIntegerToFloat") - shared
    else:
        assert "MatMulIntegerToFloat" not in kinds


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


@pytest.mark.parametrize("reason", ["uncounted", "different", "maskless"])
def test_attention_that_is_not_fused_is_reported(
    reason: str,
    bert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    if reason == "uncounted":
        monkeypatch.setattr(exporting, "count_attention", lambda *_: LAYERS - 1)
    elif reason == "different":
        monkeypatch.setattr(exporting, "_FUSED_FAULT", -1.0)
    else:
        monkeypatch.setattr(exporting, "trace", without_masks)
    with caplog.at_level(logging.WARNING, logger="resift.export"):
        card = exporting.export(bert, tmp_path / "out")
    assert card["attention"] == "plain"
    *others, record = [each for each in caplog.records if each.name.startswith("resift.export")]
    # The last layer for the first token alone is given up first.
    assert len(others) == (reason == "different")
    assert "plain" in record.getMessage()
    kinds = [node.op_type for node in onnx.load(tmp_path / "out/model.onnx").graph.node]
    assert "Attention" not in kinds
    found = engine_logits(tmp_path / "out", DOCUMENTS[:9])
    np.testing.assert_allclose(found, source_logits(bert, DOCUMENTS[:9]), rtol=0, atol=1e-4)


def without_masks(*arguments: Any, **options: Any) -> Any:
    model = graph.trace(*arguments, **options)
    for node in model.graph.node:
        if node.op_type == "Attention":
            del node.input[3:]
    return model


def test_a_wrong_graph_is_not_written(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def damaged(*arguments: Any, **options: Any) -> Any:
        model = graph.trace(*arguments, **options)
        (bias,) = [
            each for each in model.graph.initializer if each.name.endswith("classifier.bias")
        ]
        bias.CopyFrom(onnx.numpy_helper.from_array(np.full(1, 0.5, np.float32), bias.name))
        return model

    monkeypatch.setattr(exporting, "trace", damaged)
    with pytest.raises(UnsupportedModelError, match="more than rounding"):
        exporting.export(bert, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_one_scale_for_a_batch_is_refused(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def by_batch(_: Any, model: Any, __: Any, *, narrow: bool) -> Any:
        from onnxruntime.quantization import quantize_dynamic

        onnx.save(model, tmp_path / "plain.onnx")
        quantize_dynamic(
            tmp_path / "plain.onnx", tmp_path / "int8.onnx", op_types_to_quantize=["MatMul"]
        )
        return onnx.load(tmp_path / "int8.onnx")

    monkeypatch.setattr(exporting, "row_int8", by_batch)
    with pytest.raises(UnsupportedModelError, match="neighbours"):
        exporting.export(bert, tmp_path / "out", "int8")
    assert not (tmp_path / "out").exists()


def test_large_weights_are_beside_the_graph(
    bert: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graph, "_MAX_INLINE", 30_000)
    card = exporting.export(bert, tmp_path / "out", "int8")
    for artifact in card["artifacts"]:
        data = tmp_path / "out" / artifact["data_file"]
        assert artifact["data_sha256"] == sha256(data.read_bytes()).hexdigest()
    for precision in ("int8", "fp32"):
        found = engine_logits(tmp_path / "out", DOCUMENTS[:9], precision=precision)
        expected = source_logits(bert, DOCUMENTS[:9])
        np.testing.assert_allclose(found, expected, rtol=0, atol=card["tolerance"])


def test_an_existing_folder_is_kept(bert: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("text", encoding="utf-8")
    for out in (tmp_path, tmp_path / "mine"):
        with pytest.raises(InvalidRequestError, match="exists"):
            exporting.export(bert, out)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    (tmp_path / "empty").mkdir()
    exporting.export(bert, tmp_path / "empty")
    assert (tmp_path / "empty/card.json").is_file()


def test_other_models_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="3 labels"):
        exporting.export(make("bert", tmp_path / "three", num_labels=3), tmp_path / "out")
    headless = make("bert", tmp_path / "headless")
    config = json.loads((headless / "config.json").read_text(encoding="utf-8"))
    transformers.AutoModel.from_pretrained(headless).save_pretrained(headless)
    (headless / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UnsupportedModelError, match="lacks weights"):
        exporting.export(headless, tmp_path / "out")
    transformers.AutoModel.from_pretrained(headless).save_pretrained(headless)
    with pytest.raises(UnsupportedModelError, match="embedding model"):
        exporting.export(headless, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_calibration_grades_give_ndcg(bert: Path, tmp_path: Path) -> None:
    expected = source_logits(bert, DOCUMENTS[:12])
    best = int(expected.argmax())
    grades = [int(index == best) for index in range(12)]
    line = {"query": QUERY, "documents": DOCUMENTS[:12], "grades": grades}
    file = tmp_path / "lines"
    lines = [line, {**line, "grades": None}, {**line, "grades": [0] * 12}]
    file.write_text("\n\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    card = exporting.export(bert, tmp_path / "out", "int8", file)
    metrics = card["metrics"]
    assert metrics["calibration"]["queries"] == 3
    assert metrics["calibration"]["pairs"] == 36
    # Of the first query alone: the others have nothing that could be found.
    assert metrics["ndcg@10"]["gains"] == "linear"
    assert metrics["ndcg@10"]["calibration"]["source"] == 1.0
    found = engine_logits(tmp_path / "out", DOCUMENTS[:12])
    difference = float(np.abs(found - expected).max())
    assert metrics["calibration"]["max_logit_difference"] == pytest.approx(difference, rel=1e-2)
    assert difference < card["tolerance"] < 21 * difference
    place = int((found > found[best]).sum())
    ndcg = 1 / np.log2(2 + place) if place < 10 else 0.0
    assert metrics["ndcg@10"]["calibration"]["int8"] == pytest.approx(ndcg, abs=1e-4)


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "3",
        '{"query": "a"}',
        '{"query": "a", "documents": []}',
        '{"query": "a", "documents": "b"}',
        '{"query": "a", "documents": [1]}',
        '{"query": "a", "documents": ["b"], "grades": [1, 2]}',
        '{"query": "a", "documents": ["b"], "grades": ["much"]}',
        '{"query": "a", "documents": ["b"], "grades": [-1]}',
    ],
)
def test_invalid_calibration_is_named_by_line(line: str, tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_text('{"query": "a", "documents": ["b"]}\n' + line, encoding="utf-8")
    with pytest.raises(InvalidRequestError, match=r"lines:2"):
        calibration.read_groups(file)


def test_the_command_exports_and_explains_failures(
    bert: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ["export", str(bert), str(out)]
    assert main([*command, "--precision", "bf16"]) == 3
    assert "bf16" in capsys.readouterr().err
    assert main([*command, "--calibration", str(tmp_path / "none")]) == 2
    assert "calibration" in capsys.readouterr().err
    assert not out.exists()
    assert main([*command, "--precision", "int8"]) == 0
    assert "attention fused" in capsys.readouterr().out
    assert main(["rank", "--model", str(out), "a", "b", "c"]) == 0
    capsys.readouterr()
    assert main(command) == 2
    assert "exists" in capsys.readouterr().err
    assert main(["export", str(tmp_path / "nothing"), str(tmp_path / "other")]) == 3


def test_a_missing_extra_is_named(
    bert: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}")

    monkeypatch.setattr(libraries, "import_module", missing)
    with pytest.raises(BackendUnavailableError):
        exporting.export(bert, tmp_path / "out")
    assert main(["export", str(bert), str(tmp_path / "out")]) == 3
    assert "pip install resift[export]" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("target", "stored"),
    [("any", "int8-narrow"), ("avx2", "int8-narrow"), ("avx512-vnni", "int8"), ("arm64", "int8")],
)
@pytest.mark.parametrize("name", ["avx512", "avx2", "arm64"])
def test_every_target_is_exported_on_every_processor(
    bert: Path,
    tmp_path: Path,
    on: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
    name: str,
    target: str,
    stored: str,
) -> None:
    on(name)
    card = exporting.export(bert, tmp_path / "out", "int8", target=target)
    assert [each["precision"] for each in card["artifacts"]] == [stored, "fp32"]
    written = (tmp_path / "out/card.json").read_text(encoding="utf-8")
    assert json.loads(written) == card
    assert card["target"] == target
    # On AVX2, weights for others are run in a way that is right and slow.
    slowly = name == "avx2" and stored == "int8"
    assert ("slower, exact" in card["verified"]) is slowly
    assert ("slower, exact" in caplog.text) is slowly
    graph = onnx.load(tmp_path / "out/model_int8.onnx").graph
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    products = [each for each in graph.node if each.op_type == "MatMulIntegerToFloat"]
    largest = max(pair_sums(weights[each.input[1]]).max() for each in products)
    assert bool(largest <= 128) is (stored == "int8-narrow")
    documents = DOCUMENTS[:20]
    found = engine_logits(tmp_path / "out", documents)
    assert np.abs(found - source_logits(bert, documents)).max() <= card["tolerance"]
    assert Reranker(tmp_path / "out").rank(QUERY, documents).precision == stored


def test_the_target_auto_is_this_processor(
    bert: Path, tmp_path: Path, on: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    for name, stored in (("avx512", "int8"), ("avx2", "int8-narrow")):
        on(name)
        assert main(["export", str(bert), str(tmp_path / name), "--precision", "int8"]) == 0
        assert f": {stored}, attention" in capsys.readouterr().out
    assert main(["export", str(bert), str(tmp_path / "x"), "--target", "sparc"]) == 2
    assert "target must be one of auto, any, avx2" in capsys.readouterr().err
