"""Backend flag_embedding: small random models against FlagEmbedding's own rerankers."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from resift import BackendUnavailableError, NonFiniteScoreError, Reranker, UnsupportedModelError
from resift.backends.choice import installed_backends
from resift.families.prompts import BGE_RERANKER_GEMMA2, BGE_RERANKER_MINICPM

try:
    installed_backends("flag_embedding")
except BackendUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)

from parity.agreeing import agree
from parity.encoders import randomise
from parity.texts import DOCUMENTS, WORDS

import resift.backends.flag_embedding as module

flag: Any = pytest.importorskip("FlagEmbedding")
torch: Any = pytest.importorskip("torch")
transformers: Any = pytest.importorskip("transformers")

Logits = NDArray[np.float32]
QUERY = "ferry harbour?"
LONG_QUERY = " ".join(["Harbour ferry"] * 60)
LAYERS = 6
FIELDS: dict[str, dict[str, Any]] = {
    "minicpm": {"cutoff_layers": [4]},
    # Not the first layer with a head, and documents made shorter twice.
    "gemma2": {"cutoff_layers": [5], "compress_layers": [2, 4], "compress_ratio": 2},
}
# As in their cards' "Usage".
RECOMMENDED: dict[str, dict[str, Any]] = {
    "minicpm": {"cutoff_layers": [28]},
    "gemma2": {"cutoff_layers": [28], "compress_layers": [24, 40], "compress_ratio": 2},
}
# Two empty ones, of one word, and longer than the window.
PAIRS = ["", *DOCUMENTS[:94], " ", "ferry", " ".join(WORDS * 6), "Harbour " * 900]


@dataclass(frozen=True)
class Reference:
    """A model as FlagEmbedding runs it."""

    folder: Path
    kind: str
    fields: dict[str, Any]
    theirs: Any

    def scores(self, query: str, documents: Sequence[str], **options: Any) -> Logits:
        pairs = [[query, document] for document in documents]
        options = {"query_max_length": 10_000, "max_length": 10_000, **self.fields, **options}
        return np.array(self.theirs.compute_score(pairs, **options), dtype=np.float32).reshape(-1)

    def ids(self, text: str) -> list[int]:
        found: list[int] = self.theirs.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    @property
    def end(self) -> int:
        """Tokens after the document."""
        prompt = {"minicpm": BGE_RERANKER_MINICPM, "gemma2": BGE_RERANKER_GEMMA2}[self.kind]
        return sum(len(self.ids(piece)) for piece in prompt.after)

    def cut(self, query: str, documents: Sequence[str], length: int) -> Logits:
        """Pairs of ``length`` tokens at most, as the contract has them.

        FlagEmbedding counts neither the document's end in ``max_length`` nor, then, the same many
        tokens again; the documents it also cuts to ``max_length`` by themselves, which is no
        further where the query is longer than that end.
        """
        assert min(len(self.ids(f"A: {query}")), length // 2) > self.end
        # The label "A:" is text of the query in the one prompt, and a piece by itself in the other.
        label = 0 if self.kind == "minicpm" else len(self.ids("A:"))
        return self.scores(
            query,
            documents,
            query_max_length=length // 2 + label,
            max_length=length - 2 * self.end,
        )


def make_tokenizer(kind: str) -> Any:
    """Make a tokenizer: MiniCPM's puts a space before the first word too, Gemma's doesn't."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    start = "<s>" if kind == "minicpm" else "<bos>"
    alphabet: list[str] = []
    if kind == "minicpm":
        tokenizer.normalizer = normalizers.Sequence(
            [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        )
        tokenizer.pre_tokenizer = pre_tokenizers.Split("▁", "merged_with_next")
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500,
        special_tokens=["<pad>", "<unk>", start],
        initial_alphabet=alphabet,
        show_progress=False,
    )
    prompts = (BGE_RERANKER_MINICPM.after[1], BGE_RERANKER_GEMMA2.after[1])
    tokenizer.train_from_iterator([*DOCUMENTS, "A: B: \n", *prompts], trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", bos_token=start
    )


def make(
    kind: str, folder: Path, layers: int = LAYERS, fields: dict[str, Any] | None = None
) -> Reference:
    """Save a small model as ``save_pretrained`` does, with ``fields`` in ``config.json``."""
    tokenizer = make_tokenizer(kind)
    tokenizer.save_pretrained(folder)
    names = {
        "minicpm": ("LayerWiseMiniCPMForCausalLM", "LayerWiseFlagLLMReranker"),
        "gemma2": ("CostWiseGemmaForCausalLM", "LightWeightFlagLLMReranker"),
    }
    architecture, reranker = names[kind]
    classes = module._KINDS[architecture]
    own: dict[str, dict[str, Any]] = {
        "minicpm": {"scale_emb": 12, "dim_model_base": 8, "scale_depth": 1.4},
        "gemma2": {"head_dim": 8, "query_pre_attn_scalar": 8, "layer_sep": 1, "layer_wise": True},
    }
    config = getattr(import_module(classes.config_module), classes.config_class)(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=layers,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        start_layer=3,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=2,
        **own[kind],
    )
    model = getattr(import_module(classes.model_module), architecture)(config)
    randomise(model)
    model.eval().save_pretrained(folder)
    fields = FIELDS[kind] if fields is None else fields
    edit(folder, **fields)
    theirs = getattr(flag, reranker)(str(folder), use_fp16=False, devices=["cpu"])
    return Reference(folder, kind, fields or RECOMMENDED[kind], theirs)


def edit(folder: Path, **fields: Any) -> None:
    path = folder / "config.json"
    path.write_text(
        json.dumps({**json.loads(path.read_text(encoding="utf-8")), **fields}), encoding="utf-8"
    )


@pytest.fixture(scope="module", params=list(FIELDS))
def reference(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Reference:
    return make(request.param, tmp_path_factory.mktemp(request.param))


def logits(folder: Path, query: str, documents: Sequence[str], **options: Any) -> Logits:
    """The logits, in input order."""
    scores = Reranker(folder, **options).score(query, documents, normalization="none")
    return np.array(scores, dtype=np.float32)


def open_backend(folder: Path, file: str = "model.safetensors", **options: Any) -> Any:
    defaults: dict[str, Any] = {"device": "cpu", "precision": "fp32", "threads": 1}
    return module.FlagEmbeddingBackend(folder / file, **{**defaults, **options})


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


def test_neighbours_change_nothing(reference: Reference) -> None:
    documents = PAIRS[:40]
    alone = np.concatenate([logits(reference.folder, QUERY, [text]) for text in documents])
    order = list(range(len(documents)))
    for seed in range(3):
        Random(seed).shuffle(order)
        shuffled = [documents[index] for index in order]
        together = logits(reference.folder, QUERY, shuffled, max_batch_tokens=100_000)
        np.testing.assert_allclose(together, alone[order], rtol=0, atol=1e-5)


def test_each_pair_is_forwarded_once_in_bounded_batches(
    reference: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    shapes = []
    call = module.LayerNetwork.__call__

    def record(self: Any, batch: Any) -> Any:
        shapes.append(batch.input_ids.shape)
        return call(self, batch)

    monkeypatch.setattr(module.LayerNetwork, "__call__", record)
    documents = list(dict.fromkeys(PAIRS))
    Reranker(reference.folder, max_batch_tokens=2000).rank(QUERY, documents)
    assert sum(rows for rows, _ in shapes) == len(documents)
    assert max(rows * length for rows, length in shapes) <= 2000


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


def test_threads_share_a_backend_and_keep_their_number(reference: Reference) -> None:
    documents = PAIRS[:40]
    before = torch.get_num_threads()
    reranker = Reranker(reference.folder, threads=3)
    expected = reranker.rank(QUERY, documents).results
    with ThreadPoolExecutor(4) as pool:
        rankings = list(pool.map(lambda _: reranker.rank(QUERY, documents), range(8)))
    assert all(ranking.results == expected for ranking in rankings)
    assert torch.get_num_threads() == before


def test_two_devices(tmp_path: Path) -> None:
    reference = make("gemma2", tmp_path)
    reranker = Reranker(tmp_path, devices=["cpu", "cpu"], max_batch_tokens=500)
    agree(reranker.rank(QUERY, PAIRS[:40]), reference.scores(QUERY, PAIRS[:40]))


def test_nothing_is_printed(reference: Reference) -> None:
    program = (
        "import sys; from resift import Reranker;"
        "Reranker(sys.argv[1]).rank('ferry', ['Harbour', 'ferry boat'])"
    )
    command = [sys.executable, "-c", program, str(reference.folder)]
    done = subprocess.run(command, timeout=100, capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
