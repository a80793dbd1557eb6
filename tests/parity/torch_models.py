"""Small random models for the backend torch, as their makers save and run them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity.agreeing import Logits
from parity.encoders import Encoder, randomise, save_encoder, saved
from parity.styles import STYLES
from parity.texts import DOCUMENTS

from resift import Ranking, Reranker
from resift.families.prompts import BGE_RERANKER_GEMMA, MXBAI_RERANK_V2, QWEN3_RERANKER
from resift.families.table import FAMILIES

_REASON = "compares with torch and transformers: python dev.py test --parity"
torch: Any = pytest.importorskip("torch", reason=_REASON)
transformers: Any = pytest.importorskip("transformers", "5.0", reason=_REASON)
from resift.backends.torch.checkpoint import read_checkpoint  # noqa: E402

HALF = {"fp16": 0.01, "bf16": 0.1}
"""How far from float32 a logit may be, of the largest: docs/gpu.md says it, too."""

PACKED = {"bert", "bert-2", "electra", "roberta", "xlm-roberta", "camembert"} | {
    # Its head reads the first token, or the mean of all.
    "modernbert",
    "modernbert-2",
}
# The others, some with relative positions of their own.
PADDED = {"deberta-v2", "distilbert", "mpnet", "albert", "ernie", "deberta"}


def make_encoder(name: str, folder: Path, dtype: Any = None, **changes: Any) -> Encoder:
    """Save a small encoder, with ``changes`` in its configuration; as transformers reads it."""
    return saved(STYLES[name], save_encoder(name, folder, dtype, **changes))


def open_network(folder: Path) -> Any:
    """The network that the backend runs on the CPU."""
    path = folder / "model.safetensors"
    return read_checkpoint(path, torch.device("cpu"), torch.float32, ())


def logits(
    model: Path, query: str, documents: Sequence[str], *, device: str, **options: Any
) -> Logits:
    """Our logits, in input order."""
    return in_order(
        Reranker(model, backend="torch", device=device, **options).rank(query, documents)
    )


def in_order(ranking: Ranking) -> Logits:
    """The logits of a ranking, in input order."""
    found = {result.index: result.logit for result in ranking}
    return np.array([found[index] for index in range(len(found))], dtype=np.float32)


def check_half(
    model: Path,
    query: str,
    documents: Sequence[str],
    expected: Logits,
    *,
    largest: float | None = None,
    **options: Any,
) -> None:
    """Our logits in half a precision are near enough to ``expected``, with neighbours and without.

    ``largest``: what the bound is a share of, by default the largest logit. ``options`` are those
    of ``Reranker``, ``precision`` and ``device`` among them.
    """
    ranking = Reranker(model, backend="torch", **options).rank(query, documents)
    told = (ranking.backend, ranking.device, ranking.precision)
    assert told == ("torch", options["device"], options["precision"])
    together = in_order(ranking)
    bound = HALF[options["precision"]] * (largest or float(np.abs(expected).max()))
    assert 1e-7 < np.abs(together - expected).max() < bound
    alone = [logits(model, query, [text], **options)[0] for text in documents[:4]]
    np.testing.assert_allclose(together[:4], alone, rtol=0, atol=bound)


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


SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "intermediate_size": 64,
    "max_position_embeddings": 1024,
}


_T5: dict[str, Any] = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4}


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


def make_answering(family: str, folder: Path, **changes: Any) -> Answering:
    """Save a small model of a family, with ``changes`` in its configuration."""
    if family in ("mono_t5", "rank_t5"):
        tokenizer = t5_tokenizer()
        config = transformers.T5Config(
            vocab_size=len(tokenizer) + 28,
            decoder_start_token_id=0,
            n_positions=512,
            **_T5 | changes,
        )
        model = transformers.T5ForConditionalGeneration(config)
    elif family == "bge_reranker_gemma":
        tokenizer = byte_tokenizer(["<pad>", "<bos>"], ["Yes"])
        config = transformers.GemmaConfig(
            vocab_size=len(tokenizer), pad_token_id=0, **SMALL | changes
        )
        model = transformers.GemmaForCausalLM(config)
    else:
        kind = {"qwen3_reranker": "Qwen3", "mxbai_rerank_v2": "Qwen2"}[family]
        tokenizer = byte_tokenizer(_CHAT, ["yes", "no"])
        config = getattr(transformers, f"{kind}Config")(
            vocab_size=len(tokenizer), pad_token_id=0, tie_word_embeddings=True, **SMALL | changes
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
