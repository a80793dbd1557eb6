"""resift against transformers: small random models of every family, exported to ONNX."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from resift import InvalidRequestError, RankedDocument, Reranker
from resift.text.batch import Batch

_REASON = "compares with torch and transformers: python dev.py test --parity"
torch: Any = pytest.importorskip("torch", reason=_REASON)
transformers: Any = pytest.importorskip("transformers", reason=_REASON)

TOLERANCE = 1e-4
WINDOW = 48
Logits = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Style:
    """A kind of model: the names of its classes in transformers, and what it is like."""

    model: str
    tokenizer: str
    labels: int = 1
    absolute: bool = True
    """Positions come from a table, which has an end."""
    unused_positions: int | None = 0
    """Rows of that table before the first that is used; ``None``: the padding's id and one."""
    config: dict[str, Any] = field(default_factory=dict)
    dynamo: bool = False
    """Exported by torch's newer exporter, with the weights in a file beside the graph."""


_DISENTANGLED: dict[str, Any] = {
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "type_vocab_size": 0,
    "pooler_hidden_size": 32,
}
_DEBERTA_V2: dict[str, Any] = {
    **_DISENTANGLED,
    "position_buckets": 16,
    "share_att_key": True,
    "norm_rel_ebd": "layer_norm",
}
_ROBERTA: dict[str, Any] = {"type_vocab_size": 1}
_DISTILBERT: dict[str, Any] = {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64}

STYLES = {
    "bert": Style(model="Bert", tokenizer="BertTokenizer"),
    "bert-2": Style(model="Bert", tokenizer="BertTokenizer", labels=2, dynamo=True),
    "electra": Style(model="Electra", tokenizer="BertTokenizer", config={"embedding_size": 16}),
    "electra-2": Style(model="Electra", tokenizer="BertTokenizer", labels=2),
    "roberta": Style(
        model="Roberta", tokenizer="RobertaTokenizer", unused_positions=None, config=_ROBERTA
    ),
    "roberta-2": Style(
        model="Roberta",
        tokenizer="RobertaTokenizer",
        labels=2,
        unused_positions=None,
        config=_ROBERTA,
    ),
    "xlm-roberta": Style(
        model="XLMRoberta", tokenizer="XLMRobertaTokenizer", unused_positions=None, config=_ROBERTA
    ),
    "xlm-roberta-2": Style(
        model="XLMRoberta",
        tokenizer="XLMRobertaTokenizer",
        labels=2,
        unused_positions=None,
        config=_ROBERTA,
    ),
    "deberta-v2": Style(
        model="DebertaV2", tokenizer="DebertaV2Tokenizer", absolute=False, config=_DEBERTA_V2
    ),
    "deberta-v2-2": Style(
        model="DebertaV2",
        tokenizer="DebertaV2Tokenizer",
        labels=2,
        absolute=False,
        config={**_DEBERTA_V2, "type_vocab_size": 2},
    ),
    "modernbert": Style(
        model="ModernBert", tokenizer="ModernBERT", absolute=False, config={"local_attention": 8}
    ),
    "modernbert-2": Style(
        model="ModernBert",
        tokenizer="ModernBERT",
        labels=2,
        absolute=False,
        config={"local_attention": 8, "classifier_pooling": "mean"},
    ),
    "deberta": Style(
        model="Deberta", tokenizer="DebertaTokenizer", absolute=False, config=_DISENTANGLED
    ),
    "distilbert": Style(model="DistilBert", tokenizer="DistilBertTokenizer", config=_DISTILBERT),
    # The code of MPNet has its padding's id, 1, as a constant.
    "mpnet": Style(model="MPNet", tokenizer="MPNetTokenizer", unused_positions=2),
    "albert": Style(model="Albert", tokenizer="AlbertTokenizer", config={"embedding_size": 16}),
    "camembert": Style(
        model="Camembert", tokenizer="CamembertTokenizer", unused_positions=None, config=_ROBERTA
    ),
    "ernie": Style(model="Ernie", tokenizer="BertTokenizer", config={"use_task_id": False}),
}


@dataclass(frozen=True, kw_only=True)
class Reference:
    """A model's folder, and the same model in transformers."""

    style: Style
    folder: Path
    tokenizer: Any
    model: Any

    def encode(self, query: str, documents: Sequence[str], max_length: int = WINDOW) -> Any:
        return self.tokenizer(
            [query] * len(documents),
            list(documents),
            truncation="only_second",
            max_length=max_length,
            padding=True,
            return_tensors="pt",
            # ALBERT's tokenizer gives them on demand alone since transformers 5.
            return_token_type_ids=_has_token_types(self.model.config),
        )

    def logits(self, query: str, documents: Sequence[str], max_length: int = WINDOW) -> Logits:
        """``float32 [documents]``, in batches of the order given."""
        batches = [documents[start : start + 16] for start in range(0, len(documents), 16)]
        with torch.no_grad():
            outputs = [
                self.model(**self.encode(query, batch, max_length)).logits for batch in batches
            ]
        logits: Logits = torch.cat(outputs).numpy()
        return logits[:, 0] if logits.shape[1] == 1 else logits[:, 1] - logits[:, 0]

    def ids(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


def texts() -> tuple[list[str], list[str]]:
    """Words of several scripts, and 200 documents of 0 to 120 of them."""
    random = Random(7)
    syllables = ["ka", "lor", "mi", "ten", "su", "ré", "vô", "ßel", "да", "но", "東", "京"]
    words = ["".join(random.choices(syllables, k=random.randint(1, 4))) for _ in range(300)]
    words += ["Harbour", "ferry", "twenty-six", "don't", "🍋", "😀👍🏽", "...", "3.14", "متحف"]
    lengths = [*range(1, 121), *(random.randint(1, 20) for _ in range(79)), 0]
    random.shuffle(lengths)
    return words, [" ".join(random.choices(words, k=length)) for length in lengths]


WORDS, DOCUMENTS = texts()
QUERY = " ".join(WORDS[:5])


@pytest.fixture(scope="module", params=STYLES)
def reference(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Reference:
    folder = tmp_path_factory.mktemp(request.param)
    style = STYLES[request.param]
    tokenizer = make_tokenizer(style.tokenizer)
    tokenizer.save_pretrained(folder)
    names = ("bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")
    model = make_model(style, tokenizer, **{name: getattr(tokenizer, name) for name in names})
    model.save_pretrained(folder)
    export(folder, dynamo=style.dynamo)
    return saved(style, folder)


def make_model(style: Style, tokenizer: Any, **changes: Any) -> Any:
    """A small random model, with ``changes`` in its configuration."""
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
            **changes,
        }
    )
    model = getattr(transformers, f"{style.model}ForSequenceClassification")(config)
    randomise(model)
    return model


def saved(style: Style, folder: Path) -> Reference:
    """A model that was saved in a folder, as transformers reads it, in float32."""
    auto = transformers.AutoModelForSequenceClassification
    return Reference(
        style=style,
        folder=folder,
        tokenizer=transformers.AutoTokenizer.from_pretrained(folder),
        model=auto.from_pretrained(folder, dtype=torch.float32).eval(),
    )


def make_tokenizer(name: str) -> Any:
    """A tokenizer of that class, trained on the documents."""
    if name == "ModernBERT":
        return make_modernbert_tokenizer()
    tokenizer = getattr(transformers, name)().train_new_from_iterator(DOCUMENTS, 500)
    if name == "MPNetTokenizer":
        vocabulary = tokenizer.get_vocab()
        (second,) = (token for token, index in vocabulary.items() if index == 1)
        vocabulary[second] = vocabulary["<pad>"]
        vocabulary["<pad>"] = 1
        tokenizer = type(tokenizer)(vocab=vocabulary)
    return tokenizer


def make_modernbert_tokenizer() -> Any:
    """ModernBERT has none of its own class: bytes by BPE, BERT's special tokens, no types."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    specials = ["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=specials, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(DOCUMENTS, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B [SEP]",
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "attention_mask"],
    )


def randomise(model: Any) -> None:
    """Weights large enough that logits are far apart, as those of a trained model are."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        scale = 1.5 / parameter.shape[-1] ** 0.5 if parameter.ndim > 1 else 0.1
        noise = torch.randn(parameter.shape, generator=generator) * scale
        # Vectors are biases and the weights of norms.
        parameter.data = noise if parameter.ndim > 1 else parameter.data + noise


def _has_token_types(config: Any) -> bool:
    return int(getattr(config, "type_vocab_size", 0)) > 1


class _LogitsOnly(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, model: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: Any) -> Any:
        return self.model(**dict(zip(self.names, inputs, strict=True))).logits


def export(folder: Path, *, dynamo: bool) -> None:
    """Write ``model.onnx`` for batches of any size and pairs of any length."""
    model = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    names = ["input_ids", "attention_mask"]
    names += ["token_type_ids"] if _has_token_types(model.config) else []
    example = torch.full((2, 9), 5)
    inputs = (example, torch.ones_like(example), torch.zeros_like(example))[: len(names)]
    options: dict[str, Any] = (
        {
            "dynamic_shapes": (tuple({0: "batch", 1: "length"} for _ in names),),
            "external_data": True,
            "verbose": False,
        }
        if dynamo
        else {
            "dynamic_axes": {name: {0: "batch", 1: "length"} for name in names}
            | {"logits": {0: "batch"}},
            "opset_version": 17,
        }
    )
    with torch.no_grad(), warnings.catch_warnings():
        # Of what tracing can't record: the lengths that would show it are all in the tests.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _LogitsOnly(model, names).eval(),
            inputs,
            str(folder / "model.onnx"),
            input_names=names,
            output_names=["logits"],
            dynamo=dynamo,
            **options,
        )
    assert (folder / "model.onnx.data").is_file() is dynamo


@pytest.fixture(scope="module")
def reranker(reference: Reference) -> Reranker:
    return Reranker(reference.folder, threads=2)


def agree(results: Sequence[RankedDocument], expected: Logits) -> None:
    """The logits within the tolerance; the order, of all that are further apart than it."""
    found = {result.index: result.logit or 0.0 for result in results}
    assert sorted(found) == list(range(len(expected)))
    in_order = [found[index] for index in range(len(expected))]
    np.testing.assert_allclose(in_order, expected, rtol=0, atol=TOLERANCE)
    ranked = expected[[result.index for result in results]]
    best_still_to_come = np.maximum.accumulate(ranked[::-1])[::-1]
    assert (best_still_to_come - ranked <= TOLERANCE).all()


def test_ordinary_pairs_equal_the_reference(reference: Reference, reranker: Reranker) -> None:
    documents = [document for document in DOCUMENTS if 0 < len(document.split()) < 12][:20]
    expected = reference.logits(QUERY, documents)
    # Otherwise the tolerance would tell nothing.
    assert expected.std() > 0.05
    ranking = reranker.rank(QUERY, documents)
    agree(ranking, expected)
    assert ranking.counts.truncated_documents == 0


def test_an_empty_document_equals_the_reference(reference: Reference, reranker: Reranker) -> None:
    for documents in (["ferry"], [""], ["", "Harbour"]):
        agree(reranker.rank(QUERY, documents), reference.logits(QUERY, documents))
    assert reranker.rank(QUERY, [None])[0].logit == reranker.rank(QUERY, [""])[0].logit


def test_pairs_of_mixed_lengths_equal_the_reference(
    reference: Reference, reranker: Reranker
) -> None:
    ranking = reranker.rank(QUERY, DOCUMENTS)
    agree(ranking, reference.logits(QUERY, DOCUMENTS))
    specials = reference.tokenizer.num_special_tokens_to_add(pair=True)
    room = WINDOW - specials - len(reference.ids(QUERY))
    for result in ranking:
        tokens = len(reference.ids(DOCUMENTS[result.index]))
        assert result.truncated_tokens == max(0, tokens - room)
    assert 20 < ranking.counts.truncated_documents < 180
    assert not ranking.query_truncated


def test_a_shorter_max_length_equals_the_reference(
    reference: Reference, reranker: Reranker
) -> None:
    documents = DOCUMENTS[:30]
    expected = reference.logits("ferry", documents, 24)
    agree(reranker.rank("ferry", documents, max_length=24), expected)


def test_a_long_query_equals_the_reference(reference: Reference, reranker: Reranker) -> None:
    query = " ".join(["Harbour ferry"] * 40)
    encoding = reference.tokenizer(query, add_special_tokens=False, return_offsets_mapping=True)
    cut = query[: encoding["offset_mapping"][WINDOW // 2 - 1][1]]
    assert reference.ids(cut) == encoding["input_ids"][: WINDOW // 2]
    documents = DOCUMENTS[:30]
    ranking = reranker.rank(query, documents)
    assert ranking.query_truncated
    agree(ranking, reference.logits(cut, documents))


def test_the_window_is_the_models_own(reference: Reference, reranker: Reranker) -> None:
    long = " ".join(WORDS)
    ranking = reranker.rank(QUERY, [long], max_length=WINDOW)
    assert ranking.counts.tokens == WINDOW
    agree(ranking, reference.logits(QUERY, [long], WINDOW))
    with pytest.raises(InvalidRequestError, match=f"at most {WINDOW}"):
        reranker.rank(QUERY, [long], max_length=WINDOW + 1)
    if reference.style.absolute:
        with pytest.raises((IndexError, RuntimeError)):
            reference.logits(QUERY, [long], WINDOW + 1)


def test_token_ids_types_and_padding_equal_the_reference(
    reference: Reference, forwarded: list[Batch]
) -> None:
    documents = DOCUMENTS[:12]
    Reranker(reference.folder, max_batch_tokens=10_000).rank(QUERY, documents)
    (batch,) = forwarded
    expected = {name: rows.numpy() for name, rows in reference.encode(QUERY, documents).items()}
    longest_first = np.argsort(-expected["attention_mask"].sum(axis=1), kind="stable")
    assert expected.keys() >= {"input_ids", "attention_mask"}
    for name, rows in expected.items():
        np.testing.assert_array_equal(getattr(batch, name), rows[longest_first])
    assert batch.input_ids[-1, -1] == reference.tokenizer.pad_token_id


@pytest.mark.parametrize("reference", ["bert", "xlm-roberta", "modernbert"], indirect=True)
def test_sentence_transformers(reference: Reference, reranker: Reranker) -> None:
    sentence_transformers = pytest.importorskip("sentence_transformers")
    encoder = sentence_transformers.CrossEncoder(
        str(reference.folder), device="cpu", max_length=WINDOW
    )
    ours = reranker.rank("ferry", DOCUMENTS, top_n=20)
    theirs = encoder.rank("ferry", DOCUMENTS, top_k=20)
    scores = [hit["score"] for hit in theirs]
    assert [result.score for result in ours] == pytest.approx(scores, abs=TOLERANCE)
    assert [result.index for result in ours] == [hit["corpus_id"] for hit in theirs]
