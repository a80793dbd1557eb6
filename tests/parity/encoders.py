"""Small random encoders, as transformers makes, saves and runs them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from parity.agreeing import Logits
from parity.styles import STYLES, Style
from parity.texts import DOCUMENTS

_REASON = "compares with torch and transformers: python dev.py test --parity"
torch: Any = pytest.importorskip("torch", reason=_REASON)
transformers: Any = pytest.importorskip("transformers", reason=_REASON)

WINDOW = 48
LAYERS = 2


@dataclass(frozen=True, kw_only=True)
class Encoder:
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


def make_model(style: Style, tokenizer: Any, **changes: Any) -> Any:
    """A small random model, with ``changes`` in its configuration."""
    padding = tokenizer.pad_token_id
    unused = padding + 1 if style.unused_positions is None else style.unused_positions
    config = getattr(transformers, f"{style.model}Config")(
        **{
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
    )
    model = getattr(transformers, f"{style.model}ForSequenceClassification")(config)
    randomise(model)
    return model


def randomise(model: Any) -> None:
    """Weights large enough that logits are far apart, as those of a trained model are."""
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        scale = 1.5 / parameter.shape[-1] ** 0.5 if parameter.ndim > 1 else 0.1
        noise = torch.randn(parameter.shape, generator=generator) * scale
        # Vectors are biases and the weights of norms.
        parameter.data = noise if parameter.ndim > 1 else parameter.data + noise


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


def save_encoder(name: str, folder: Path, dtype: Any = None, **changes: Any) -> Path:
    """Save a small encoder as ``save_pretrained`` does, with ``changes`` in its configuration."""
    style = STYLES[name]
    tokenizer = make_tokenizer(style.tokenizer)
    tokenizer.save_pretrained(folder)
    make_model(style, tokenizer, **changes).to(dtype or torch.float32).save_pretrained(folder)
    return folder


def saved(style: Style, folder: Path) -> Encoder:
    """A model that was saved in a folder, as transformers reads it, in float32."""
    auto = transformers.AutoModelForSequenceClassification
    return Encoder(
        style=style,
        folder=folder,
        tokenizer=transformers.AutoTokenizer.from_pretrained(folder),
        model=auto.from_pretrained(folder, dtype=torch.float32).eval(),
    )


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


class _LogitsOnly(torch.nn.Module):  # type: ignore[misc]
    def __init__(self, model: Any, names: Sequence[str]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: Any) -> Any:
        return self.model(**dict(zip(self.names, inputs, strict=True))).logits


def _has_token_types(config: Any) -> bool:
    return int(getattr(config, "type_vocab_size", 0)) > 1
