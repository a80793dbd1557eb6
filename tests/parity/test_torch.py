"""Backend torch: small random models of every family against ONNX, transformers and others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from parity.test_families import (
    DOCUMENTS,
    QUERY,
    STYLES,
    WINDOW,
    WORDS,
    agree,
    export,
    randomise,
)
from parity.test_families import Reference as _EncoderReference
from parity.test_families import make_tokenizer as make_encoder_tokenizer

from resift import BackendUnavailableError, NonFiniteScoreError, Reranker, UnsupportedModelError
from resift.families.prompts import (
    BGE_RERANKER_GEMMA,
    MONO_T5,
    MXBAI_RERANK_V2,
    QWEN3_RERANKER,
    RANK_T5,
)
from resift.families.table import FAMILIES
from resift.testing import QUERY as BUNDLED_QUERY
from resift.testing import TEXTS
from resift.text.batch import Batch

_REASON = "compares with torch and transformers: python dev.py test --parity"
torch: Any = pytest.importorskip("torch", reason=_REASON)
transformers: Any = pytest.importorskip("transformers", "5.0", reason=_REASON)
import resift.backends.torch.backend as torch_backend  # noqa: E402
from resift.backends.torch import checkpoint, packing  # noqa: E402

Logits = NDArray[np.float32]
LONG_QUERY = " ".join(["Harbour ferry"] * 40)
PACKED = {"bert", "bert-2", "electra", "roberta", "xlm-roberta", "camembert", "modernbert"}
# The mean of all tokens, and relative positions of its own: padded.
PADDED = {"deberta-v2", "distilbert", "mpnet", "albert", "ernie", "modernbert-2", "deberta"}


@pytest.fixture(scope="module", params=sorted(PACKED | PADDED))
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    name = request.param
    return make_encoder(name, tmp_path_factory.mktemp(name))


def make_encoder(name: str, folder: Path, dtype: Any = None) -> _EncoderReference:
    """Save a small encoder as ``save_pretrained`` does."""
    style = STYLES[name]
    tokenizer = make_encoder_tokenizer(style.tokenizer)
    tokenizer.save_pretrained(folder)
    padding = tokenizer.pad_token_id
    unused = padding + 1 if style.unused_positions is None else style.unused_positions
    config = getattr(transformers, f"{style.model}Config")(
        **{
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 64,
            "max_position_embeddings": WINDOW + unused,
            "num_labels": style.labels,
            "pad_token_id": padding,
            **style.config,
        }
    )
    model = getattr(transformers, f"{style.model}ForSequenceClassification")(config)
    randomise(model)
    model.to(dtype or torch.float32).save_pretrained(folder)
    auto = transformers.AutoModelForSequenceClassification
    return _EncoderReference(
        style=style,
        folder=folder,
        tokenizer=transformers.AutoTokenizer.from_pretrained(folder),
        model=auto.from_pretrained(folder, dtype=torch.float32).eval(),
    )


def logits(model: Path, query: str, documents: Sequence[str], **options: Any) -> Logits:
    """The logits, in input order."""
    ranking = Reranker(model, backend="torch", **options).rank(query, documents)
    found = {result.index: result.logit for result in ranking}
    return np.array([found[index] for index in range(len(documents))], dtype=np.float32)


def test_encoders_give_transformers_logits(encoder: _EncoderReference) -> None:
    reranker = Reranker(encoder.folder, backend="torch")
    expected = encoder.logits(QUERY, DOCUMENTS)
    assert expected.std() > 0.05
    ranking = reranker.rank(QUERY, DOCUMENTS)
    agree(ranking, expected)
    assert (ranking.backend, ranking.device, ranking.precision) == ("torch", "cpu", "fp32")
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


def test_which_encoders_run_packed(encoder: _EncoderReference) -> None:
    network = open_network(encoder.folder)
    name = next(key for key, style in STYLES.items() if style == encoder.style)
    assert isinstance(network, packing.PackedNetwork) is (name in PACKED)


def open_network(folder: Path) -> Any:
    path = folder / "model.safetensors"
    return checkpoint.read_checkpoint(path, torch.device("cpu"), torch.float32, ())


def test_logits_equal_onnx_and_sentence_transformers(tmp_path: Path) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    for name in ("bert", "xlm-roberta", "modernbert", "deberta-v2"):
        reference = make_encoder(name, tmp_path / name)
        export(reference.folder, dynamo=False)
        ours = logits(reference.folder, QUERY, DOCUMENTS)
        agree(Reranker(reference.folder, backend="onnx").rank(QUERY, DOCUMENTS), ours)
        encoder = sentence_transformers.CrossEncoder(
            str(reference.folder), device="cpu", max_length=WINDOW
        )
        theirs = encoder.predict(
            [("ferry", text) for text in DOCUMENTS], activation_fn=torch.nn.Identity()
        )
        agree(Reranker(reference.folder, backend="torch").rank("ferry", DOCUMENTS), theirs)


def test_encoder_scores_equal_flag_embedding(tmp_path: Path) -> None:
    flag = pytest.importorskip("FlagEmbedding")
    reference = make_encoder("xlm-roberta", tmp_path)
    theirs = flag.FlagReranker(str(tmp_path), use_fp16=False, devices=["cpu"], max_length=WINDOW)
    # Without the empty one: FlagEmbedding leaves out the separators before it.
    short = [text for text in DOCUMENTS if 0 < len(text.split()) < 6]
    scores = theirs.compute_score([["ferry", text] for text in short], normalize=True)
    ours = Reranker(reference.folder, backend="torch", max_length=WINDOW).score("ferry", short)
    assert ours == pytest.approx(scores, abs=1e-4)


def test_neighbours_change_nothing(encoder: _EncoderReference) -> None:
    alone = [logits(encoder.folder, QUERY, [text])[0] for text in DOCUMENTS[:6]]
    backend = Reranker(encoder.folder, backend="torch", max_batch_tokens=100_000)
    together = {r.index: r.logit for r in backend.rank(QUERY, DOCUMENTS)}
    assert [together[index] for index in range(6)] == pytest.approx(alone, abs=1e-5)


@pytest.mark.parametrize(("precision", "bound"), [("bf16", 0.1), ("fp16", 0.01)])
def test_half_precision_is_close_to_float32(tmp_path: Path, precision: str, bound: float) -> None:
    reference = make_encoder("xlm-roberta", tmp_path)
    expected = reference.logits(QUERY, DOCUMENTS)
    found = logits(tmp_path, QUERY, DOCUMENTS, precision=precision)
    assert 1e-6 < np.abs(found - expected).max() < bound * np.abs(expected).max()
    alone = [logits(tmp_path, QUERY, [text], precision=precision)[0] for text in DOCUMENTS[:4]]
    np.testing.assert_allclose(found[:4], alone, rtol=0, atol=bound * np.abs(expected).max())


def test_weights_stored_in_bfloat16_run_in_float32(tmp_path: Path) -> None:
    reference = make_encoder("bert", tmp_path, torch.bfloat16)
    agree(
        Reranker(tmp_path, backend="torch").rank(QUERY, DOCUMENTS),
        reference.logits(QUERY, DOCUMENTS),
    )


# Decoders and T5.


def byte_tokenizer(specials: Sequence[str], whole: Sequence[str]) -> Any:
    """Bytes by BPE as in Qwen's; ``whole`` are words of the vocabulary by themselves."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*DOCUMENTS, *([word] for word in [*whole] * 200)], trainer)
    return transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=specials[0])


def t5_tokenizer() -> Any:
    """Words by Unigram, each with a space before it, as T5's."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]
    )
    specials = ["<pad>", "</s>", "<unk>", "<extra_id_10>"]
    trainer = trainers.UnigramTrainer(
        vocab_size=500, special_tokens=specials, unk_token="<unk>", show_progress=False
    )
    tokenizer.train_from_iterator(DOCUMENTS, trainer)
    trained = json.loads(tokenizer.to_str())
    trained["model"]["vocab"] += [["▁true", -5.0], ["▁false", -5.0]]
    tokenizer = Tokenizer.from_str(json.dumps(trained))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A $B </s>", special_tokens=[("</s>", 1)]
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", unk_token="<unk>"
    )


_CHAT = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
_SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 64,
    "max_position_embeddings": 1024,
}
_SMALL_T5 = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}


@dataclass(frozen=True)
class Answering:
    """A model that answers, as its makers run it."""

    folder: Path
    tokenizer: Any
    model: Any
    family: str

    def ids(self, *texts: str) -> list[int]:
        found: list[int] = []
        for text in texts:
            found += self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return found

    def token(self, text: str) -> int:
        index: int = self.tokenizer.convert_tokens_to_ids(text)
        assert index not in (None, self.tokenizer.unk_token_id)
        return index

    def logit(self, query: str, document: str) -> float:
        """Whole prompts, one by one, every row of the vocabulary."""
        # Written out as in the sources that families/prompts.py names.
        if self.family == "qwen3_reranker":
            instruction = (
                "Given a web search query, retrieve relevant passages that answer the query"
            )
            ids = self.ids(
                QWEN3_RERANKER.before[0],
                f"<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {document}",
                "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
            )
            return self._last(ids, "yes") - self._last(ids, "no")
        if self.family == "mxbai_rerank_v2":
            ids = self.ids(
                MXBAI_RERANK_V2.before[0],
                f"query: {query}",
                "\n",
                f"document: {document}",
                *MXBAI_RERANK_V2.after,
            )
            return self._last(ids, "1") - self._last(ids, "0")
        if self.family == "bge_reranker_gemma":
            ids = self.ids("<bos>", f"A: {query}", "\n", f"B: {document}")
            return self._last(ids + self.ids(*BGE_RERANKER_GEMMA.after), "Yes")
        if self.family == "mono_t5":
            text = f"Query: {query} Document: {document} Relevant:"
            true, false = (self._first(text, word) for word in ("▁true", "▁false"))
            return true - false
        return self._first(f"Query: {query} Document: {document}", "<extra_id_10>")

    def _last(self, ids: list[int], answer: str) -> float:
        with torch.no_grad():
            output = self.model(input_ids=torch.tensor([ids])).logits[0, -1]
        return float(output[self.token(answer)])

    def _first(self, text: str, answer: str) -> float:
        ids = torch.tensor([self.tokenizer(text)["input_ids"]])
        assert ids[0, -1] == 1
        start = torch.tensor([[self.model.config.decoder_start_token_id]])
        with torch.no_grad():
            output = self.model(input_ids=ids, decoder_input_ids=start).logits[0, 0]
        return float(output[self.token(answer)])


def make_answering(family: str, folder: Path) -> Answering:
    if family in ("mono_t5", "rank_t5"):
        tokenizer = t5_tokenizer()
        config = transformers.T5Config(
            vocab_size=len(tokenizer) + 28, decoder_start_token_id=0, n_positions=512, **_SMALL_T5
        )
        model = transformers.T5ForConditionalGeneration(config)
    elif family == "bge_reranker_gemma":
        tokenizer = byte_tokenizer(["<pad>", "<bos>"], ["Yes"])
        config = transformers.GemmaConfig(vocab_size=len(tokenizer), pad_token_id=0, **_SMALL)
        model = transformers.GemmaForCausalLM(config)
    else:
        kind = {"qwen3_reranker": "Qwen3", "mxbai_rerank_v2": "Qwen2"}[family]
        tokenizer = byte_tokenizer(_CHAT, ["yes", "no"])
        config = getattr(transformers, f"{kind}Config")(
            vocab_size=len(tokenizer), pad_token_id=0, tie_word_embeddings=True, **_SMALL
        )
        model = getattr(transformers, f"{kind}ForCausalLM")(config)
    randomise(model)
    model.tie_weights()
    tokenizer.save_pretrained(folder)
    model.eval().save_pretrained(folder)
    if family == "rank_t5":
        card = {
            "family": "rank_t5",
            "max_length": 512,
            "window": 512,
            "tolerance": 1e-4,
            "artifacts": [
                {"format": "safetensors", "precision": "fp32", "file": "model.safetensors"}
            ],
        }
        (folder / "card.json").write_text(json.dumps(card), encoding="utf-8")
    return Answering(folder, tokenizer, model, family)


# The others have a head of their own, and another backend.
ANSWERING = [
    name for name, family in FAMILIES.items() if (prompt := family().prompt) and prompt.answers
]


@pytest.fixture(scope="module", params=ANSWERING)
def answering(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Answering:
    return make_answering(request.param, tmp_path_factory.mktemp(request.param))


def test_answers_give_transformers_logits(answering: Answering) -> None:
    documents = [*[text for text in DOCUMENTS if len(text.split()) < 12][:25], ""]
    expected = np.array([answering.logit("ferry?", text) for text in documents], np.float32)
    assert expected.std() > 0.02
    reranker = Reranker(answering.folder, backend="torch")
    ranking = reranker.rank("ferry?", documents)
    agree(ranking, expected)
    assert ranking.counts.truncated_documents == 0
    for text, logit in zip(documents[:3], expected, strict=False):
        assert reranker.rank("ferry?", [text])[0].logit == pytest.approx(logit, abs=1e-5)


def test_the_prompts_end_is_never_cut(answering: Answering) -> None:
    long = " ".join(WORDS * 3)
    length = 400 if "t5" in answering.family else 800
    reranker = Reranker(answering.folder, backend="torch", max_length=length)
    ranking = reranker.rank("ferry", [long])
    assert ranking.counts.tokens == length
    kept = len(answering.ids(f" {long}")) - ranking[0].truncated_tokens
    # The longest beginning of the document with as many tokens.
    texts = (" ".join((WORDS * 3)[:count]) for count in range(3 * len(WORDS), 0, -1))
    shorter = next(text for text in texts if len(answering.ids(f" {text}")) <= kept)
    (whole,) = reranker.rank("ferry", [shorter])
    assert whole.truncated_tokens == 0
    assert whole.logit == pytest.approx(answering.logit("ferry", shorter), abs=1e-4)


def test_only_the_answers_rows_are_computed(answering: Answering) -> None:
    prompt = FAMILIES[answering.family]().prompt
    assert prompt is not None
    ids = [answering.token(each) for each in prompt.answers]
    network = checkpoint.read_checkpoint(
        answering.folder / "model.safetensors", torch.device("cpu"), torch.float32, ids
    )
    assert network.model.get_output_embeddings().out_features == len(ids) in (1, 2)


def test_a_vocabulary_without_the_answers_is_refused(tmp_path: Path) -> None:
    answering = make_answering("bge_reranker_gemma", tmp_path)
    config = json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))
    config["architectures"] = ["T5ForConditionalGeneration"]
    config["n_positions"] = 512
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(UnsupportedModelError, match=r"tokenizer\.json.*true"):
        Reranker(answering.folder, backend="torch").rank("a", ["b"])


def test_language_model_scores_equal_flag_embedding(tmp_path: Path) -> None:
    flag = pytest.importorskip("FlagEmbedding")
    answering = make_answering("bge_reranker_gemma", tmp_path)
    answering.tokenizer.add_special_tokens({"bos_token": "<bos>"})
    answering.tokenizer.save_pretrained(tmp_path)
    theirs = flag.FlagLLMReranker(str(tmp_path), use_fp16=False, devices=["cpu"])
    documents = [text for text in DOCUMENTS if len(text.split()) < 12][:25]
    scores = theirs.compute_score([["ferry", text] for text in documents], normalize=True)
    ours = Reranker(tmp_path, backend="torch").score("ferry", documents)
    assert ours == pytest.approx(scores, abs=1e-4)


def test_prompts_are_distinct() -> None:
    prompts = [QWEN3_RERANKER, MXBAI_RERANK_V2, BGE_RERANKER_GEMMA, MONO_T5, RANK_T5]
    assert len({(prompt.after, prompt.answers) for prompt in prompts}) == len(prompts)


# The bundled model, faults, processes.


def test_the_bundled_model_scores_as_on_onnx() -> None:
    texts = [*TEXTS, "", "word " * 700, "[SEP] and [CLS]", *DOCUMENTS[:40]]
    for query in (BUNDLED_QUERY, "\u200b", "what does [SEP] mean"):
        exact = Reranker(backend="onnx", precision="fp32")
        expected = exact.score(query, texts, normalization="none")
        found = Reranker(backend="torch").score(query, texts, normalization="none")
        assert found == pytest.approx(expected, abs=1e-4)


def test_the_bundled_model_prunes() -> None:
    texts = [f"{text} {n}" for n in range(4) for text in TEXTS]
    options: dict[str, Any] = {"top_n": 2, "prune": "auto"}
    expected = Reranker(backend="onnx", precision="fp32").rank(BUNDLED_QUERY, texts, **options)
    found = Reranker(backend="torch").rank(BUNDLED_QUERY, texts, **options)
    assert found.counts.pruned_documents == expected.counts.pruned_documents > 0
    assert [each.index for each in found] == [each.index for each in expected]
    assert found.status == "complete"


def test_the_bundled_model_without_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resift.backends.torch.late_interaction.has_kernel", lambda *_: False)
    exact = Reranker(backend="onnx", precision="fp32")
    expected = exact.score(BUNDLED_QUERY, TEXTS, normalization="none")
    found = Reranker(backend="torch").score(BUNDLED_QUERY, TEXTS, normalization="none")
    assert found == pytest.approx(expected, abs=1e-4)


def test_another_graph_is_refused(tmp_path: Path) -> None:
    import tiny_models

    folder = tiny_models.build(tmp_path)
    with pytest.raises(UnsupportedModelError, match=r"model\.onnx.*late_interaction"):
        torch_backend.TorchBackend(folder / "model.onnx", device=None, precision="fp32", threads=1)


def test_nan_in_the_weights_is_an_error(tmp_path: Path) -> None:
    reference = make_encoder("bert", tmp_path)
    reference.model.bert.embeddings.word_embeddings.weight.data[reference.ids("ferry")[0]] = (
        torch.nan
    )
    reference.model.save_pretrained(tmp_path)
    for precision in ("fp32", "bf16"):
        reranker = Reranker(tmp_path, backend="torch", precision=precision)
        with pytest.raises(NonFiniteScoreError, match="torch") as caught:
            reranker.rank(QUERY, ["Harbour", "ferry"])
        assert caught.value.indices == (1,)


def test_overflow_in_float16_is_computed_again_in_float32(tmp_path: Path) -> None:
    reference = make_encoder("bert", tmp_path)
    reference.model.classifier.weight.data *= 1e6
    reference.model.save_pretrained(tmp_path)
    found = logits(tmp_path, QUERY, DOCUMENTS[:4], precision="fp16")
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, reference.logits(QUERY, DOCUMENTS[:4]), rtol=1e-3)


def test_faults_name_the_file(tmp_path: Path) -> None:
    make_encoder("bert", tmp_path)
    weights = tmp_path / "model.safetensors"
    (tmp_path / "other.safetensors").write_bytes(weights.read_bytes())
    options: dict[str, Any] = {"device": "cpu", "precision": "fp32", "threads": 1}
    with pytest.raises(UnsupportedModelError, match=r"other\.safetensors.*expected"):
        torch_backend.TorchBackend(tmp_path / "other.safetensors", **options)
    weights.write_bytes(weights.read_bytes()[:200])
    with pytest.raises(UnsupportedModelError, match=r"model\.safetensors"):
        torch_backend.TorchBackend(weights, **options)
    transformers.BertModel(
        transformers.BertConfig(**{**_SMALL, "vocab_size": 500})
    ).save_pretrained(tmp_path)
    with pytest.raises(UnsupportedModelError, match=r"classifier.*embedding model"):
        torch_backend.TorchBackend(weights, **options)


def test_unavailable_devices_are_refused(tmp_path: Path) -> None:
    for device in ("cuda:99", "abacus", "cpu:7"):
        with pytest.raises(BackendUnavailableError, match=f"{device}.*'cpu'"):
            Reranker(backend="torch", device=device).warm_up()


def test_threads_share_a_backend_and_keep_their_number(tmp_path: Path) -> None:
    make_encoder("bert", tmp_path)
    before = torch.get_num_threads()
    reranker = Reranker(tmp_path, backend="torch", threads=3)
    expected = reranker.rank(QUERY, DOCUMENTS[:40]).results
    with ThreadPoolExecutor(4) as pool:
        rankings = list(pool.map(lambda _: reranker.rank(QUERY, DOCUMENTS[:40]), range(8)))
    assert all(ranking.results == expected for ranking in rankings)
    assert torch.get_num_threads() == before
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(torch.get_num_threads).result() == before


_FORK = """
import os, sys, torch
from resift import Reranker
torch.randn(512, 512) @ torch.randn(512, 512)
reranker = Reranker(sys.argv[1], backend="torch", device="cpu")
documents = ["Harbour " * n for n in range(1, 30)]
expected = reranker.rank("ferry", documents).results
child = os.fork()
if child == 0:
    assert reranker.rank("ferry", documents).results == expected
    sys.exit(0)
_, status = os.waitpid(child, 0)
sys.exit(os.waitstatus_to_exitcode(status))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_ranks(tmp_path: Path) -> None:
    make_encoder("bert", tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", _FORK, str(tmp_path)],
        timeout=100,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr


def test_nothing_is_printed(tmp_path: Path) -> None:
    make_encoder("bert", tmp_path)
    program = (
        "import sys; from resift import Reranker;"
        "Reranker(sys.argv[1], backend='torch').rank('ferry', ['Harbour'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        timeout=100,
        capture_output=True,
        encoding="utf-8",
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_attention_stays_inside_each_text() -> None:
    """``attend_one_by_one`` against one masked attention over all texts."""
    generator = torch.Generator().manual_seed(0)
    query, key, value = (torch.randn(13, 2, 8, generator=generator) for _ in range(3))
    starts = torch.tensor([0, 1, 9, 13], dtype=torch.int32)
    owner = torch.tensor([0] + [1] * 8 + [2] * 4)
    index = torch.arange(13)
    for window in (-1, 2):
        seen = owner[:, None] == owner
        if window >= 0:
            seen &= (index[:, None] - index).abs() <= window
        expected = torch.nn.functional.scaled_dot_product_attention(
            *(each.transpose(0, 1) for each in (query, key, value)), attn_mask=seen, scale=0.3
        ).transpose(0, 1)
        found = packing.attend_one_by_one(query, key, value, starts, 8, 0.3, window)
        torch.testing.assert_close(found, expected)


def test_packing_removes_padding() -> None:
    batch = Batch(
        input_ids=np.array([[5, 6, 7], [8, 0, 0]]),
        attention_mask=np.array([[1, 1, 1], [1, 0, 0]]),
        token_type_ids=np.array([[0, 0, 1], [1, 0, 0]]),
    )
    packed = packing.pack(batch, torch.device("cpu"), first_position=2)
    assert packed.input_ids.tolist() == [[5, 6, 7, 8]]
    assert packed.token_type_ids.tolist() == [[0, 0, 1, 1]]
    assert packed.position_ids.tolist() == [[2, 3, 4, 2]]
    assert packed.starts.tolist() == [0, 3, 4]
    assert (packed.longest, packed.starts.dtype) == (3, torch.int32)


def test_langchain(tmp_path: Path) -> None:
    adapter = pytest.importorskip("langchain_resift")
    documents = pytest.importorskip("langchain_core.documents")
    expected = expected_order(tmp_path)
    compressor = adapter.ResiftReranker(model=tmp_path, backend="torch", top_n=5)
    given = [documents.Document(text, metadata={"n": n}) for n, text in enumerate(DOCUMENTS[:20])]
    found = compressor.compress_documents(given, QUERY)
    assert [document.metadata["n"] for document in found] == expected


def test_llamaindex(tmp_path: Path) -> None:
    adapter = pytest.importorskip("llama_index.postprocessor.resift")
    schema = pytest.importorskip("llama_index.core.schema")
    expected = expected_order(tmp_path)
    postprocessor = adapter.ResiftRerank(model=tmp_path, backend="torch", top_n=5)
    given = [
        schema.NodeWithScore(node=schema.TextNode(text=text, id_=str(n)))
        for n, text in enumerate(DOCUMENTS[:20])
    ]
    found = postprocessor.postprocess_nodes(given, query_str=QUERY)
    assert [int(node.node.node_id) for node in found] == expected


def test_haystack(tmp_path: Path) -> None:
    adapter = pytest.importorskip("haystack_integrations.components.rankers.resift")
    haystack = pytest.importorskip("haystack")
    expected = expected_order(tmp_path)
    ranker = adapter.ResiftRanker(model=str(tmp_path), backend="torch", device="cpu", top_k=5)
    given = [haystack.Document(content=text, id=str(n)) for n, text in enumerate(DOCUMENTS[:20])]
    found = ranker.run(query=QUERY, documents=given)["documents"]
    assert [int(document.id) for document in found] == expected


def expected_order(folder: Path) -> list[int]:
    """The best five of the first twenty documents, as transformers ranks them."""
    reference = make_encoder("bert", folder)
    order = np.argsort(-reference.logits(QUERY, DOCUMENTS[:20]), kind="stable")
    best: list[int] = order[:5].tolist()
    return best


def test_two_devices(tmp_path: Path) -> None:
    reference = make_encoder("bert", tmp_path)
    reranker = Reranker(tmp_path, backend="torch", devices=["cpu", "cpu"])
    agree(reranker.rank(QUERY, DOCUMENTS), reference.logits(QUERY, DOCUMENTS))


def test_each_pass_has_one_thread(tmp_path: Path) -> None:
    make_encoder("bert", tmp_path)
    path = tmp_path / "model.safetensors"
    backend = torch_backend.TorchBackend(path, device="cpu", precision="fp32", threads=2)
    run, seen = backend._network, []

    class Watched:
        def __call__(self, batch: Batch) -> Any:
            seen.append(torch.get_num_threads())
            return run(batch)

    backend._network = Watched()  # type: ignore[assignment]
    ids = np.full((2, 5), 5)
    with ThreadPoolExecutor(2) as pool:
        batches = [Batch(ids, np.ones_like(ids), np.zeros_like(ids))] * 4
        list(pool.map(backend.forward, batches))
    assert seen == [1, 1, 1, 1]
