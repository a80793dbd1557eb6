"""The whole export of a model: trace, fuse, quantise, verify, describe."""

from __future__ import annotations

import json
import logging
import os
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from resift import __version__
from resift.errors import BackendUnavailableError, InvalidRequestError, UnsupportedModelError
from resift.export.calibration import GOLDEN, Group, built_in, read_groups
from resift.export.first_token import first_token_only
from resift.export.graph import count_attention, save, trace
from resift.export.int8 import row_int8
from resift.export.libraries import Libraries
from resift.export.smoothing import smoothing
from resift.export.source import Source
from resift.export.target import Target
from resift.export.verify import Measured, Scorer, measure, round_up
from resift.export.words import words_int8
from resift.loading.opening import DEFAULT_MAX_LENGTH
from resift.models.card import SCHEMA
from resift.models.store.manifest import sha256
from resift.precision import NARROW_INT8

_logger = logging.getLogger(__name__)

# Differences that rounding can't explain, so the graph is wrong: shares of the largest logit or 1.
_FUSED_FAULT = 1e-4
_FAULT = {"fp32": 1e-3, "int8": 0.5, NARROW_INT8: 0.5}
_NEIGHBOUR_FAULT = {"fp32": 1e-4, "int8": 1e-3, NARROW_INT8: 1e-3}
# Largest share of the int8 graph's mean difference that word embeddings may have; errors add in
# quadrature, so a quarter adds 3 %.
_WORDS_SHARE = 0.25
_TOOLS = ("torch", "transformers", "onnx", "onnxruntime", "numpy", "tokenizers")


def export(
    model: str | os.PathLike[str],
    out: str | os.PathLike[str],
    precision: str = "fp32",
    calibration: str | os.PathLike[str] | None = None,
    target: str = "auto",
) -> dict[str, Any]:
    """Write ``model`` to the new folder ``out``, which ``Reranker(out)`` reads; returns its card.

    ``model`` is a folder or a hub name that transformers reads. ``precision`` is ``"fp32"`` or
    ``"int8"``; with int8 weights, float32 ones are written too, for batches that come out as NaN.
    ``calibration`` is a file of JSON lines, ``{"query": …, "documents": […], "grades": […]}``, the
    grades being optional; without it, a small English set is used. ``target`` is the processor that
    int8 is for, one of ``resift.export.target.TARGETS``: ``"auto"`` is this one, and ``"any"`` is
    exact and fast on all. ``out`` appears whole or not at all.

    Raises ``InvalidRequestError`` for an invalid argument or file, ``BackendUnavailableError`` for
    bf16 and where the extra isn't installed, ``ModelNotFoundError`` for a missing model, and
    ``UnsupportedModelError`` for a model of another kind, or one whose export doesn't compute what
    the source does.
    """
    _check_precision(precision)
    kind = Target.find(target)
    final = Path(out)
    if final.exists() and not (final.is_dir() and not any(final.iterdir())):
        raise InvalidRequestError(f"{final} exists already; expected a new or an empty folder")
    groups = built_in() if calibration is None else read_groups(Path(calibration))
    libraries = Libraries.load()
    source = Source.load(libraries, model)
    final.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{final.name}-", dir=final.parent) as parent:
        folder = Path(parent, "model")
        folder.mkdir()
        stored = kind.int8 if precision == "int8" else precision
        card = _write(libraries, source, folder, stored, groups)
        card |= {"target": kind.name, "verified": kind.verified(stored)}
        _write_json(folder / "card.json", card)
        if final.exists():
            final.rmdir()
        folder.rename(final)
    return card


def _check_precision(precision: str) -> None:
    if precision == "bf16":
        raise BackendUnavailableError(
            "ONNX Runtime's CPU kernels have no matrix product in bf16, so nothing could run the "
            "export; expected precision fp32 or int8"
        )
    if precision not in ("fp32", "int8"):
        raise InvalidRequestError(f"precision must be fp32 or int8, not {precision!r}")


def _write(
    libraries: Libraries, source: Source, folder: Path, precision: str, groups: list[Group]
) -> dict[str, Any]:
    source.write_config_and_tokenizer(folder)
    window = source.family.window(source.config.to_dict())
    limits = (DEFAULT_MAX_LENGTH, window, source.tokenizer.model_max_length)
    scorer = Scorer(source, folder / "tokenizer.json", max_length=min(limits), groups=groups)

    plain = folder / "model.onnx"
    forms, measured = _export_fp32(libraries, source, plain, scorer)
    _check(measured, "fp32", scorer)
    files = {"fp32": plain}
    if precision != "fp32":
        quantised = folder / "model_int8.onnx"
        forms["word_embeddings"], measured = _export_int8(
            libraries, plain, quantised, scorer, precision
        )
        _check(measured, precision, scorer)
        files = {precision: quantised, "fp32": plain}

    artifacts = [_artifact(each, path) for each, path in files.items()]
    digest = artifacts[0]["sha256"]
    tolerance = max(1e-4, round_up(2 * measured.max_difference))
    card = {
        "schema": SCHEMA,
        "name": source.name,
        "revision": digest[:12],
        "family": source.family_name,
        "max_length": scorer.max_length,
        "window": window,
        "artifacts": artifacts,
        "tokenizer_sha256": sha256(folder / "tokenizer.json"),
        **forms,
        "tolerance": tolerance,
        "neighbour_tolerance": max(1e-5, round_up(2 * measured.neighbour_difference)),
        "metrics": measured.to_dict(precision),
        "sources": [{"name": source.name, "revision": source.revision, "use": "weights"}],
        "tools": {"resift": __version__} | {tool: version(tool) for tool in _TOOLS},
    }
    golden = {
        "model_sha256": digest,
        # For int8 too: another release's last digits in float32 draw the rounding errors anew, and
        # two draws may be twice the largest error apart. See benchmarks/NOTES.md.
        "tolerance": tolerance,
        "pairs": [
            {"query": query, "document": document, "logit": round(logit, 6)}
            for query, document, logit in scorer.golden(files[precision], GOLDEN)
        ],
    }
    _write_json(folder / "golden.json", golden)
    return card


def _export_fp32(
    libraries: Libraries, source: Source, path: Path, scorer: Scorer
) -> tuple[dict[str, str], Measured]:
    """Write the fastest of three graphs that is correct; returns which, for the card."""
    layers = int(source.config.num_hidden_layers)
    model = trace(libraries, source, fuse=True)
    fused = count_attention(model)
    if fused != layers:
        reason = f"attention could be fused in {fused} of {layers} layers"
    else:
        shortened = first_token_only(libraries, model)
        for last_layer in ("first token", "all tokens") if shortened else ("all tokens",):
            if shortened and last_layer == "all tokens":
                model = trace(libraries, source, fuse=True)
            save(libraries, model, path)
            measured = measure(scorer, path, "fp32")
            moved = float(np.maximum(measured.max_difference, measured.neighbour_difference))
            if moved <= _FUSED_FAULT * scorer.scale:
                return {"attention": "fused", "last_layer": last_layer}, measured
            if last_layer == "first token":
                _logger.warning(
                    "%s: the last layer for the first token alone moves logits by %.2g; exporting "
                    "it for all tokens, which is slower",
                    source.name,
                    moved,
                )
        reason = f"fused attention moves logits by {moved:.2g}"
    _logger.warning("%s: %s; exporting it plain, which may be slower", source.name, reason)
    save(libraries, trace(libraries, source, fuse=False), path)
    return {"attention": "plain", "last_layer": "all tokens"}, measure(scorer, path, "fp32")


def _export_int8(
    libraries: Libraries, plain: Path, path: Path, scorer: Scorer, precision: str
) -> tuple[str, Measured]:
    """Write the graph at ``plain`` in int8; returns how its word embeddings are stored."""
    model, narrow = libraries.onnx.load(str(plain)), precision == NARROW_INT8
    factors = smoothing(libraries, model, scorer, narrow=narrow)
    effect = None
    if words_int8(libraries, model):
        save(libraries, model, path)
        effect = measure(scorer, path, "fp32")
    save(libraries, row_int8(libraries, model, factors, narrow=narrow), path)
    measured = measure(scorer, path, precision)
    if effect is None:
        return "float32", measured
    if effect.mean_difference <= _WORDS_SHARE * measured.mean_difference:
        return "int8", measured
    model = row_int8(libraries, libraries.onnx.load(str(plain)), factors, narrow=narrow)
    save(libraries, model, path)
    return "float32", measure(scorer, path, precision)


def _check(measured: Measured, precision: str, scorer: Scorer) -> None:
    """Raise ``UnsupportedModelError`` for differences that rounding can't explain."""
    # Written so that NaN fails.
    if not measured.max_difference <= _FAULT[precision] * scorer.scale:
        raise UnsupportedModelError(
            f"{scorer.name}: the {precision} export gives logits up to "
            f"{measured.max_difference:.2g} from the source's, more than rounding explains. "
            "Nothing was written: this model can't be exported in this precision with these "
            "versions of torch and transformers"
        )
    if not measured.neighbour_difference <= _NEIGHBOUR_FAULT[precision] * scorer.scale:
        raise UnsupportedModelError(
            f"{scorer.name}: in the {precision} export, a document's logit moves by "
            f"{measured.neighbour_difference:.2g} when its neighbours change; expected none of "
            "their influence. Nothing was written"
        )


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, ensure_ascii=False, indent=2)
    path.write_text(text + "\n", encoding="utf-8")


def _artifact(precision: str, path: Path) -> dict[str, str]:
    content = {
        "format": "onnx",
        "precision": precision,
        "file": path.name,
        "sha256": sha256(path),
    }
    data = path.with_name(f"{path.name}.data")
    if data.exists():
        content |= {"data_file": data.name, "data_sha256": sha256(data)}
    return content
