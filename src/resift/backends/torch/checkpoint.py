"""Checkpoints in safetensors, as transformers reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.utils import logging as transformers_logging

from resift.backends.torch.network import Network, PaddedNetwork
from resift.backends.torch.packing import ATTENTION, PackedNetwork, can_pack
from resift.errors import UnsupportedModelError

_FILES = ("model.safetensors", "model.safetensors.index.json")


def read_checkpoint(path: Path, device: Any, dtype: Any, vocabulary_ids: Sequence[int]) -> Network:
    """Read the model whose weights are at ``path``, beside its ``config.json``, onto the CPU.

    ``device`` and ``dtype`` are those that it will run in. Raises ``UnsupportedModelError`` naming
    the file, where weights can't be read or are missing.
    """
    if path.name not in _FILES:
        raise UnsupportedModelError(
            f"backend 'torch' can't read {path}; expected a file named {' or '.join(_FILES)}"
        )
    try:
        config = transformers.AutoConfig.from_pretrained(path.parent, trust_remote_code=False)
        # Keys and values of all layers would be kept, for text to come.
        config.use_cache = False
        model = _load(_auto_class(config, vocabulary_ids), path, config, device, dtype)
    except UnsupportedModelError:
        raise
    # A file can be damaged in many ways, and each library has its own exceptions.
    except Exception as error:
        raise UnsupportedModelError(f"transformers can't load {path}: {error}") from error
    if vocabulary_ids:
        _keep_rows(model, vocabulary_ids)
    if config.is_encoder_decoder:
        start = config.decoder_start_token_id
        return PaddedNetwork(model, ["input_ids", "attention_mask"], decoder_input_ids=start)
    if vocabulary_ids:
        # Padding comes after the last token, and a decoder's tokens see only those before them.
        return PaddedNetwork(model, ["input_ids"], last=True)
    if model.config._attn_implementation == ATTENTION:
        return PackedNetwork(model)
    types = ["token_type_ids"] if int(getattr(config, "type_vocab_size", 0)) > 1 else []
    return PaddedNetwork(model, ["input_ids", "attention_mask", *types])


def _auto_class(config: Any, vocabulary_ids: Sequence[int]) -> Any:
    if not vocabulary_ids:
        return transformers.AutoModelForSequenceClassification
    if config.is_encoder_decoder:
        return transformers.AutoModelForSeq2SeqLM
    return transformers.AutoModelForCausalLM


def _load(auto: Any, path: Path, config: Any, device: Any, dtype: Any) -> Any:
    packed = auto is transformers.AutoModelForSequenceClassification and can_pack(
        config, device, dtype
    )
    with _no_progress_bar():
        model, report = auto.from_pretrained(
            path.parent,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **({"attn_implementation": ATTENTION} if packed else {}),
        )
    if report["missing_keys"]:
        raise UnsupportedModelError(
            f"{path} lacks weights: {sorted(report['missing_keys'])[:5]}; expected all of a "
            f"{type(model).__name__}. An embedding model can't score pairs."
        )
    if auto is transformers.AutoModelForSequenceClassification:
        # DeBERTa's biases of queries and values stay in float32, whatever is asked for.
        for parameter in model.parameters():
            parameter.data = parameter.data.to(dtype)
    return model.eval()


def _keep_rows(model: Any, vocabulary_ids: Sequence[int]) -> None:
    """Keep only those rows of the language-modelling head that give the outputs."""
    head = model.get_output_embeddings()
    rows = torch.nn.Linear(
        head.in_features, len(vocabulary_ids), bias=head.bias is not None, dtype=head.weight.dtype
    )
    with torch.no_grad():
        rows.weight.copy_(head.weight[list(vocabulary_ids)])
        if head.bias is not None:
            rows.bias.copy_(head.bias[list(vocabulary_ids)])
    model.set_output_embeddings(rows.eval().requires_grad_(False))


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()
