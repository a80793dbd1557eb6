"""Layer-wise and lightweight rerankers: FlagEmbedding's own model classes, on torch."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from transformers.utils import logging as transformers_logging

from resift.backends.inputs import refuse_vocabulary
from resift.backends.torch.backend import TorchBackend
from resift.backends.torch.network import to_device
from resift.errors import UnsupportedModelError
from resift.text.batch import Batch


class _Kind(NamedTuple):
    """A model's two classes, their modules in FlagEmbedding, and the options of its card."""

    config_module: str
    config_class: str
    model_module: str
    defaults: Mapping[str, Any]
    """Options, each of which ``config.json`` may override."""


_MODELS = "FlagEmbedding.inference.reranker.decoder_only.models"

# https://huggingface.co/BAAI/bge-reranker-v2-minicpm-layerwise and
# https://huggingface.co/BAAI/bge-reranker-v2.5-gemma2-lightweight, "Usage".
_KINDS = {
    "LayerWiseMiniCPMForCausalLM": _Kind(
        f"{_MODELS}.configuration_minicpm_reranker",
        "LayerWiseMiniCPMConfig",
        f"{_MODELS}.modeling_minicpm_reranker",
        {"cutoff_layers": [28]},
    ),
    "CostWiseGemmaForCausalLM": _Kind(
        f"{_MODELS}.gemma_config",
        "CostWiseGemmaConfig",
        f"{_MODELS}.gemma_model",
        {"cutoff_layers": [28], "compress_layers": [24, 40], "compress_ratio": 2},
    ),
}
_FILES = ("model.safetensors", "model.safetensors.index.json")


class FlagEmbeddingBackend(TorchBackend):
    """Runs a checkpoint in safetensors of one of these kinds; otherwise a ``TorchBackend``."""

    def _read(
        self, path: Path, device: Any, dtype: Any, vocabulary_ids: Sequence[int]
    ) -> LayerNetwork:
        del device
        refuse_vocabulary(path, vocabulary_ids)
        try:
            with _quiet():
                return _read_layers(path, dtype)
        except UnsupportedModelError:
            raise
        # A file can be damaged in many ways, and each library has its own exceptions.
        except Exception as error:
            raise UnsupportedModelError(f"FlagEmbedding can't load {path}: {error}") from error


class LayerNetwork:
    """A decoder whose layers have heads of one label, of which one is read.

    ``options`` are for the model's ``forward``. With ``compresses``, the model shortens documents
    on the way, and so needs to know where they are.
    """

    def __init__(self, model: Any, options: Mapping[str, Any], *, compresses: bool) -> None:
        self.model, self.config = model, model.config
        self._options, self._compresses = options, compresses

    def __call__(self, batch: Batch) -> Any:
        """Run a batch; see ``Network``."""
        device = self.model.device
        mask = to_device(batch.attention_mask, device)
        places = {}
        if self._compresses:
            before = batch.token_type_ids.argmax(axis=1)
            after = batch.attention_mask.sum(axis=1) - before - batch.token_type_ids.sum(axis=1)
            places["query_lengths"] = to_device(before, device)
            places["prompt_lengths"] = to_device(after, device)
        outputs = self.model(
            input_ids=to_device(batch.input_ids, device),
            attention_mask=mask,
            use_cache=False,
            **places,
            **self._options,
        )
        (logits,) = outputs.logits
        if self._compresses:
            (mask,) = outputs.attention_masks
        return logits.gather(1, mask.sum(dim=1, keepdim=True) - 1)


def _read_layers(path: Path, dtype: Any) -> LayerNetwork:
    """Read the model whose weights are at ``path``, beside its ``config.json``, onto the CPU."""
    if path.name not in _FILES:
        raise UnsupportedModelError(
            f"backend 'flag_embedding' can't read {path}; expected a file named "
            f"{' or '.join(_FILES)}"
        )
    content = json.loads((path.parent / "config.json").read_text(encoding="utf-8"))
    names = [name for name in content.get("architectures") or () if name in _KINDS]
    if not names:
        raise UnsupportedModelError(
            f"backend 'flag_embedding' can't read {path}: its config.json has architectures "
            f"{content.get('architectures')}; expected one of {list(_KINDS)}"
        )
    kind = _KINDS[names[0]]
    given = {name: content.get(name, default) for name, default in kind.defaults.items()}
    config_class = getattr(import_module(kind.config_module), kind.config_class)
    config = config_class.from_pretrained(path.parent, local_files_only=True)
    _check(path, config, given)
    (layer,) = given["cutoff_layers"]
    # It warns that it sets use_cache, which is never on here.
    logging.getLogger(kind.model_module).setLevel(logging.ERROR)
    model, report = getattr(import_module(kind.model_module), names[0]).from_pretrained(
        path.parent,
        config=config,
        torch_dtype=dtype,
        # What FlagEmbedding itself gets unless the package flash_attn is installed.
        attn_implementation="sdpa",
        use_safetensors=True,
        local_files_only=True,
        output_loading_info=True,
    )
    if report["missing_keys"]:
        raise UnsupportedModelError(
            f"{path} lacks weights: {sorted(report['missing_keys'])[:5]}; expected all of a "
            f"{names[0]}"
        )
    # The model's loop ends where it meets the first layer that isn't needed.
    del model.model.layers[layer + 1 :]
    options = {"cutoff_layers": [layer]}
    if "compress_ratio" in given:
        options["compress_layer"] = given["compress_layers"]
        options["compress_ratio"] = given["compress_ratio"]
    return LayerNetwork(model.eval(), options, compresses="compress_ratio" in given)


def _check(path: Path, config: Any, given: Mapping[str, Any]) -> None:
    """Raise ``UnsupportedModelError`` naming a field of ``config.json`` that can't be run."""
    heads = range(config.start_layer, config.num_hidden_layers + 1, getattr(config, "layer_sep", 1))
    layers = given["cutoff_layers"]
    expected = None
    if not (isinstance(layers, list) and len(layers) == 1 and layers[0] in heads):
        expected = f"cutoff_layers {layers!r}; expected a list of one layer of {list(heads)}"
    elif getattr(config, "head_type", "simple") != "simple" or not getattr(
        config, "layer_wise", True
    ):
        expected = "heads with more than one label; expected head_type 'simple' or layer_wise true"
    elif given.get("compress_ratio", 1) not in (1, 2, 4, 8):
        expected = f"compress_ratio {given['compress_ratio']!r}; expected 1, 2, 4 or 8"
    if expected is not None:
        raise UnsupportedModelError(f"{path.parent / 'config.json'} has {expected}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide transformers' progress bar, and its advice to the authors of these classes."""
    verbosity = transformers_logging.get_verbosity()
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if shown:
            transformers_logging.enable_progress_bar()
