"""Small random models, as FlagEmbedding's rerankers make, save and run them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from resift import BackendUnavailableError, Reranker
from resift.backends.choice import installed_backends
from resift.families.prompts import BGE_RERANKER_GEMMA2, BGE_RERANKER_MINICPM

try:
    installed_backends("flag_embedding")
except BackendUnavailableError as error:
    pytest.skip(str(error), allow_module_level=True)

from parity.agreeing import Logits
from parity.encoders import randomise, transformers
from parity.flag_embedding.settings import FIELDS, LAYERS, RECOMMENDED
from parity.texts import DOCUMENTS, WORDS

import resift.backends.flag_embedding as module

flag: Any = pytest.importorskip("FlagEmbedding")

QUERY = "ferry harbour?"
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


def logits(folder: Path, query: str, documents: Sequence[str], **options: Any) -> Logits:
    """The logits, in input order."""
    scores = Reranker(folder, **options).score(query, documents, normalization="none")
    return np.array(scores, dtype=np.float32)


def open_backend(folder: Path, file: str = "model.safetensors", **options: Any) -> Any:
    defaults: dict[str, Any] = {"device": "cpu", "precision": "fp32", "threads": 1}
    return module.FlagEmbeddingBackend(folder / file, **{**defaults, **options})
