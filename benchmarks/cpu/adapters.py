"""How each library is called, and where its tokenizer and its model are timed.

Libraries are imported by name because no environment has all of them. Where ``threads`` is 0, each
has as many as it chooses by itself.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from meter import Meter, Proxy
from network import stay_offline
from prepare import FLASHRANK_NAME


class Adapter(Protocol):
    """A library with its model loaded."""

    def rank(self, query: str, documents: Sequence[str]) -> Any:
        """What a user of the library would call: this is timed."""

    def scores(self, ranked: Any) -> list[float]:
        """The scores in what ``rank`` gave, in the order of the documents."""


def _session(session: Any, meter: Meter) -> Proxy:
    """An ONNX Runtime session that is timed."""
    run = meter.model(session.run, lambda names, feed, *rest: feed["attention_mask"])  # noqa: ARG005
    return Proxy(session, run=run)


def _in_input_order(pairs: Sequence[tuple[int, float]]) -> list[float]:
    return [float(score) for _, score in sorted(pairs)]


class _FlashRank:
    """All documents in one batch, padded to the longest; int8 as its own models are."""

    def __init__(self, model: Path, threads: int, options: Mapping[str, str], meter: Meter) -> None:
        del options
        ranker = import_module("flashrank.Ranker")
        _limit_threads(ranker, threads)
        self._request = ranker.RerankRequest
        self._ranker = ranker.Ranker(FLASHRANK_NAME, cache_dir=str(model / "flashrank"))
        _time_flashrank(self._ranker, meter)

    def rank(self, query: str, documents: Sequence[str]) -> Any:
        passages = [{"id": index, "text": text} for index, text in enumerate(documents)]
        return self._ranker.rerank(self._request(query=query, passages=passages))

    def scores(self, ranked: Any) -> list[float]:
        return _in_input_order([(passage["id"], passage["score"]) for passage in ranked])


def _limit_threads(ranker: Any, threads: int) -> None:
    # FlashRank has no option for it: its session takes all cores of the machine.
    if not threads:
        return
    options = ranker.ort.SessionOptions()
    options.intra_op_num_threads = threads
    session = functools.partial(ranker.ort.InferenceSession, sess_options=options)
    ranker.ort = Proxy(ranker.ort, InferenceSession=session)


def _time_flashrank(ranker: Any, meter: Meter) -> None:
    encode = meter.timed("tokenize", ranker.tokenizer.encode_batch)
    ranker.tokenizer = Proxy(ranker.tokenizer, encode_batch=encode)
    ranker.session = _session(ranker.session, meter)


class _SentenceTransformers:
    """Batches of 32, longest first, which are its defaults."""

    def __init__(self, model: Path, threads: int, options: Mapping[str, str], meter: Meter) -> None:
        backend = options["backend"]
        library = import_module("sentence_transformers")
        _torch_threads(threads)
        arguments: dict[str, Any] = {}
        if backend == "torch":
            arguments["dtype"] = options["dtype"]
        else:
            arguments["file_name"] = options["file"]
        if backend == "onnx":
            session = import_module("onnxruntime").SessionOptions()
            session.intra_op_num_threads = threads
            arguments |= {"provider": "CPUExecutionProvider", "session_options": session}
        if backend == "openvino":
            given = {
                "INFERENCE_NUM_THREADS": str(threads or ""),
                "INFERENCE_PRECISION_HINT": options.get("hint", ""),
            }
            arguments["ov_config"] = {name: value for name, value in given.items() if value}
        self._model = library.CrossEncoder(
            str(model), backend=backend, device="cpu", model_kwargs=arguments
        )
        if "hint" in options:
            # One that the processor can't follow is ignored.
            taken = self._model.model.request.get_property("INFERENCE_PRECISION_HINT").to_string()
            if taken != options["hint"]:
                raise RuntimeError(f"OpenVINO computes in {taken} on this processor")
        _time_cross_encoder(self._model, meter)

    def rank(self, query: str, documents: Sequence[str]) -> Any:
        return self._model.rank(query, list(documents))

    def scores(self, ranked: Any) -> list[float]:
        return _in_input_order([(result["corpus_id"], result["score"]) for result in ranked])


def _time_cross_encoder(model: Any, meter: Meter) -> None:
    model.preprocess = meter.timed("tokenize", model.preprocess)
    model.forward = meter.model(model.forward, lambda features, **_: features["attention_mask"])


class _FastEmbed:
    """Batches of 64 in the order given, each padded to its longest."""

    def __init__(self, model: Path, threads: int, options: Mapping[str, str], meter: Meter) -> None:
        cross_encoder = import_module("fastembed.rerank.cross_encoder").TextCrossEncoder
        description = import_module("fastembed.common.model_description")
        cross_encoder.add_custom_model(
            model="local/model",
            sources=description.ModelSource(hf="local/model"),
            model_file=options["file"],
        )
        self._model = cross_encoder(
            "local/model", threads=threads or None, specific_model_path=str(model)
        )
        inner = self._model.model
        inner.tokenize = meter.timed("tokenize", inner.tokenize)
        inner.model = _session(inner.model, meter)

    def rank(self, query: str, documents: Sequence[str]) -> Any:
        return list(self._model.rerank(query, documents))

    def scores(self, ranked: Any) -> list[float]:
        return [float(score) for score in ranked]


class _Rerankers:
    """``rerankers`` over FlashRank or over transformers (batches of 16 in the order given)."""

    def __init__(
        self, model: Path, threads: int, options: Mapping[str, str], meter: Meter, *, kind: str
    ) -> None:
        del options
        library = import_module("rerankers")
        arguments: dict[str, Any] = {"verbose": 0}
        name = str(model)
        if kind == "flashrank":
            _limit_threads(import_module("flashrank.Ranker"), threads)
            name, arguments["cache_dir"] = FLASHRANK_NAME, str(model / "flashrank")
        else:
            _torch_threads(threads)
            arguments["device"] = "cpu"
        self._ranker = library.Reranker(name, model_type=_RERANKERS_TYPES[kind], **arguments)
        if kind == "flashrank":
            _time_flashrank(self._ranker.model, meter)
        else:
            self._ranker.tokenize = meter.timed("tokenize", self._ranker.tokenize)
            inner = self._ranker.model
            inner.forward = meter.model(inner.forward, lambda **given: given["attention_mask"])

    def rank(self, query: str, documents: Sequence[str]) -> Any:
        return self._ranker.rank(query=query, docs=list(documents))

    async def arank(self, query: str, documents: Sequence[str]) -> Any:
        return await self._ranker.rank_async(query=query, docs=list(documents))

    def scores(self, ranked: Any) -> list[float]:
        return _in_input_order([(each.document.doc_id, each.score) for each in ranked.results])


_RERANKERS_TYPES = {"flashrank": "flashrank", "transformers": "cross-encoder"}


class _FlagEmbedding:
    """Batches of 128, longest first, which are its defaults."""

    def __init__(self, model: Path, threads: int, options: Mapping[str, str], meter: Meter) -> None:
        del options, meter
        _torch_threads(threads)
        library = import_module("FlagEmbedding")
        self._model = library.FlagReranker(
            str(model), use_fp16=False, devices=["cpu"], max_length=512
        )

    def rank(self, query: str, documents: Sequence[str]) -> Any:
        return self._model.compute_score([(query, document) for document in documents])

    def scores(self, ranked: Any) -> list[float]:
        # Of one pair it gives the number alone.
        return [float(score) for score in (ranked if isinstance(ranked, list) else [ranked])]


class _Resift:
    """Ours. It reports its own phases."""

    def __init__(self, model: Path, threads: int, options: Mapping[str, str], meter: Meter) -> None:
        self._meter = meter
        self._reranker = import_module("resift").Reranker(
            model / options["folder"],
            backend=options["backend"],
            precision=options["precision"],
            threads=threads or None,
        )
        self._reranker.warm_up()

    def rank(self, query: str, documents: Sequence[str]) -> Any:
        return self._reranker.rank(query, documents)

    async def arank(self, query: str, documents: Sequence[str]) -> Any:
        return await self._reranker.arank(query, documents)

    def scores(self, ranked: Any) -> list[float]:
        timings, counts, meter = ranked.timings, ranked.counts, self._meter
        meter.tokenize, meter.infer = timings.tokenize, timings.infer
        meter.tokens, meter.padded_tokens = counts.tokens, counts.padded_tokens
        return _in_input_order([(result.index, result.logit) for result in ranked])


class _Reference:
    """The model in float32 as its makers would run it, one document at a time: never timed."""

    def __init__(self, model: Path, threads: int, options: Mapping[str, str], meter: Meter) -> None:
        del options, meter
        transformers = import_module("transformers")
        self._torch = _torch_threads(threads)
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(model)
        automatic = transformers.AutoModelForSequenceClassification
        self._model = automatic.from_pretrained(model, dtype="float32").eval()

    def rank(self, query: str, documents: Sequence[str]) -> Any:
        with self._torch.inference_mode():
            return [
                float(
                    self._model(
                        **self._tokenizer(query, document, truncation=True, return_tensors="pt")
                    ).logits[0, 0]
                )
                for document in documents
            ]

    def scores(self, ranked: Any) -> list[float]:
        return list(ranked)

    def lengths(self, query: str, documents: Sequence[str]) -> list[int]:
        """Tokens of each pair after truncation."""
        pairs = self._tokenizer([query] * len(documents), list(documents), truncation=True)
        return [len(ids) for ids in pairs["input_ids"]]


def _torch_threads(threads: int) -> Any:
    torch = import_module("torch")
    if threads:
        torch.set_num_threads(threads)
    return torch


ADAPTERS: dict[str, Callable[[Path, int, Mapping[str, str], Meter], Adapter]] = {
    "flashrank": _FlashRank,
    "sentence-transformers": _SentenceTransformers,
    "fastembed": _FastEmbed,
    "flag-embedding": _FlagEmbedding,
    "rerankers-flashrank": functools.partial(_Rerankers, kind="flashrank"),
    "rerankers-transformers": functools.partial(_Rerankers, kind="transformers"),
    "resift": _Resift,
    "reference": _Reference,
}


def limit_process(threads: int) -> None:
    """The same processors for everybody, and no network; before any library is imported."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
        os.environ[name] = str(threads)
    stay_offline()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    end_first()


def end_first() -> None:
    """Let the system end this process before all others."""
    if Path("/proc/self/oom_score_adj").exists():
        # Some put a whole request into one batch. Where memory runs out, that one is to end.
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="utf-8")
