"""Models of a shape with random weights, and a tokenizer of made-up words, in a folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

from shapes import Shape

from resift.families.prompts import BGE_RERANKER_GEMMA, QWEN3_RERANKER
from resift.text.prompt import Prompt

PROMPTS: dict[str, Prompt] = {"qwen3": QWEN3_RERANKER, "gemma": BGE_RERANKER_GEMMA}
"""By kind, those of decoders."""
_SYLLABLES = ("ka", "lor", "mi", "ten", "su", "re", "vo", "sel", "da", "no")
# Of one to four syllables: some four characters a token, as in real texts.
WORDS = tuple(
    "".join(each)
    for size in (1, 2, 3, 4)
    for each in Random(size).sample([*product(_SYLLABLES, repeat=size)], min(10**size, 500))
)
_DONE = "made.json"
_BYTE_PAIRS = 700
"""Entries of a vocabulary of byte pairs."""
CLASSES = {
    "xlm-roberta": ("XLMRobertaConfig", "XLMRobertaForSequenceClassification"),
    "modernbert": ("ModernBertConfig", "ModernBertForSequenceClassification"),
    "qwen3": ("Qwen3Config", "Qwen3ForCausalLM"),
    "gemma": ("GemmaConfig", "GemmaForCausalLM"),
}


def make_model(shape: Shape, folder: Path, device: str) -> None:
    """Save a model and its tokenizer in ``folder``, unless they are there; made on ``device``.

    Decoders are stored in bfloat16, encoders in float32, as their makers publish most of them.
    """
    import torch
    import transformers

    done = folder / _DONE
    if done.exists() and json.loads(done.read_text(encoding="utf-8")) == repr(shape):
        return
    tokenizer = make_tokenizer(shape)
    tokenizer.save_pretrained(folder)
    config_class, model_class = (getattr(transformers, each) for each in CLASSES[shape.kind])
    names = ("bos_token_id", "eos_token_id", "pad_token_id", "cls_token_id", "sep_token_id")
    specials = {name: getattr(tokenizer, name) for name in names}
    # So wide that numbers stay of one size from layer to layer, and logits differ.
    width = shape.hidden**-0.5
    config = config_class(**shape.config(), **specials, initializer_range=width)
    torch.manual_seed(0)
    with torch.device(device):
        model = model_class(config)
    if shape.is_decoder:
        model = model.to(torch.bfloat16)
    with _quiet():
        model.save_pretrained(folder)
    done.write_text(json.dumps(repr(shape)), encoding="utf-8")


def make_tokenizer(shape: Shape) -> Any:
    """A tokenizer of the shape's kind, which knows the words and those of its prompt."""
    import transformers

    if shape.kind == "xlm-roberta":
        return transformers.XLMRobertaTokenizer().train_new_from_iterator(WORDS, 3000)
    if shape.kind == "modernbert":
        return _bytes_by_pair(["[UNK]", "[CLS]", "[SEP]", "[PAD]", "[MASK]"], None)
    specials = {
        "qwen3": ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"],
        "gemma": ["<pad>", "<eos>", "<bos>", "<unk>"],
    }
    prompt = PROMPTS[shape.kind]
    tokenizer = _bytes_by_pair(specials[shape.kind], prompt)
    tokenizer.chat_template = chat_template(prompt)
    return tokenizer


def _bytes_by_pair(specials: Sequence[str], prompt: Prompt | None) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=_BYTE_PAIRS,
        special_tokens=list(specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [f"{word} {word}" for word in WORDS]
    if prompt:
        pieces = (*prompt.before, *prompt.between, *prompt.label, *prompt.after, *prompt.answers)
        texts += pieces * 200
    tokenizer.train_from_iterator(texts, trainer)
    if prompt is None:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]",
            pair="[CLS] $A [SEP] $B [SEP]",
            special_tokens=[(each, tokenizer.token_to_id(each)) for each in ("[CLS]", "[SEP]")],
        )
        names = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
        names |= {"pad_token": "[PAD]", "mask_token": "[MASK]"}
    elif "<bos>" in specials:
        names = {"pad_token": "<pad>", "bos_token": "<bos>", "eos_token": "<eos>"}
    else:
        names = {"pad_token": "<|endoftext|>", "eos_token": "<|im_end|>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, model_input_names=["input_ids", "attention_mask"], **names
    )


def chat_template(prompt: Prompt) -> str:
    """The prompt as a template of roles, from which sentence-transformers makes it."""

    def content(role: str) -> str:
        chosen = f'messages | selectattr("role", "eq", "{role}")'
        return "{{ " + chosen + ' | map(attribute="content") | first }}'

    def quoted(text: str) -> str:
        # Jinja would drop a template's last line break.
        return "{{ " + json.dumps(text) + " }}" if text else ""

    def around(pattern: str, role: str) -> str:
        before, after = pattern.split("{}")
        return quoted(before) + content(role) + quoted(after)

    return "".join(
        [
            quoted("".join(prompt.before)),
            around(prompt.query, "query"),
            quoted("".join((*prompt.between, *prompt.label))),
            around(prompt.document, "document"),
            quoted("".join(prompt.after)),
        ]
    )


@contextmanager
def _quiet() -> Iterator[None]:
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
