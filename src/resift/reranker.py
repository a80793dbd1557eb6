"""``Reranker``: the whole flow, from a query and documents to a ``Ranking``."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import numpy as np

from resift.backends import installed_backends
from resift.errors import NonFiniteScoreError
from resift.loading import LoadedModel
from resift.normalization import Calibration, Normalization
from resift.options import (
    DEFAULT_BACKEND,
    DEFAULT_LONG_DOCUMENTS,
    DEFAULT_MODEL,
    DEFAULT_NORMALIZATION,
    CallOptions,
    LoadOptions,
    Prune,
    RankOptions,
    ScoreOptions,
    Token,
    check_names,
    refuse_assignment,
)
from resift.pruning import Kept, Pruner, may_prune, prune
from resift.ranking import Counts, RankedDocument, Ranking, Timings
from resift.redaction import shown
from resift.request import Request
from resift.scoring import ScoredRequest, score_requests
from resift.selection import select_documents
from resift.telemetry import Observer, Stopwatch, TimingEvent
from resift.text.tokenizer import TokenizedRequest
from resift.text.windows import LongDocuments

Documents = Iterable[str | None]

_NOTHING = Counts()


class Reranker:
    """Ranks documents by relevance to a query, with a cross-encoder.

    The model is loaded at the first call that needs it, or by ``warm_up``. One instance may be
    shared by any number of threads and tasks, and survives a ``fork``.

    ``model``: a bundled name, a folder (``config.json``, ``tokenizer.json``, ``model.onnx``), a zip
    archive of one or its address with ``#sha256=``, a name of the catalogue (``resift models
    list``), or a hub repository ``"owner/name"``. ``revision``, ``cache_dir`` and ``offline`` are
    for what is downloaded; ``offline=None`` asks ``RESIFT_OFFLINE`` and ``HF_HUB_OFFLINE``.
    ``token`` is for the hub, a ``str`` or a function that gives one; ``None`` leaves it to
    ``HF_TOKEN`` and the hub's own login. It isn't shown, kept in ``options`` or pickled.
    ``trust_remote_code`` needs a full commit as ``revision``.

    ``backend``: a name of ``resift.backends.BACKENDS``, or ``"auto"``: the fastest that is
    installed and gives the logits that the model's maker measured. ``device`` and ``precision``
    default to the backend's and the model's. ``devices`` runs the model in a process on each of
    several devices, in place of ``device``. ``threads``, by default the CPUs that the process may
    use, is how many forward passes run at a time. ``max_batch_tokens`` bounds the padded tokens of
    one, and so memory; the default is the backend's.

    ``normalization``, ``score_threshold``, ``max_length``, ``long_documents`` and ``prune`` are
    defaults for ``rank``, where they are described. ``on_timing`` gets one ``TimingEvent`` after
    each call that succeeds, in the thread that did the work; what it raises, the call raises.

    Raises ``InvalidRequestError`` for an option that can't be, ``BackendUnavailableError`` for a
    backend that isn't installed; the first ranking raises ``ModelError`` for a model that isn't
    there or can't be run.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        backend: str = DEFAULT_BACKEND,
        device: str | None = None,
        devices: Sequence[str] | None = None,
        precision: str | None = None,
        max_length: int | None = None,
        max_batch_tokens: int | None = None,
        threads: int | None = None,
        normalization: Normalization = DEFAULT_NORMALIZATION,
        score_threshold: float | None = None,
        long_documents: LongDocuments = DEFAULT_LONG_DOCUMENTS,
        prune: Prune | None = None,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        offline: bool | None = None,
        token: Token = None,
        trust_remote_code: bool = False,
        on_timing: Callable[[TimingEvent], None] | None = None,
    ) -> None:
        self._load_options = LoadOptions(
            model=model,
            backend=backend,
            device=device,
            devices=devices,
            precision=precision,
            max_batch_tokens=max_batch_tokens,
            threads=threads,
            revision=revision,
            cache_dir=cache_dir,
            offline=offline,
            trust_remote_code=trust_remote_code,
            on_timing=on_timing,
            token=token,
        )
        self._rank_options = RankOptions(
            score_threshold=score_threshold,
            normalization=normalization,
            max_length=max_length,
            long_documents=long_documents,
            prune=prune,
        )
        self._backend = installed_backends(backend, self._load_options.first_device)[0]
        self._process = _ProcessState()
        self._name = shown(os.fspath(model))

    @property
    def options(self) -> dict[str, Any]:
        """The keywords that make this ``Reranker`` again, those that are ``None`` left out.

        Strings, numbers and dicts, save ``on_timing``. A ``token`` isn't among them.
        """
        given: dict[str, Any] = {
            name: getattr(options, name)
            for options in (self._load_options, self._rank_options)
            for name in options.__dataclass_fields__
        }
        del given["token"]
        for name in ("model", "cache_dir"):
            given[name] = given[name] and os.fspath(given[name])
        # What is saved without it is what was saved before there was such an option.
        given["trust_remote_code"] = given["trust_remote_code"] or None
        if isinstance(given["normalization"], Calibration):
            given["normalization"] = asdict(given["normalization"])
        return {name: value for name, value in given.items() if value is not None}

    def rank(
        self,
        query: str,
        documents: Documents,
        *,
        top_n: int | None = None,
        score_threshold: float | None = None,
        normalization: Normalization | None = None,
        max_length: int | None = None,
        long_documents: LongDocuments | None = None,
        prune: Prune | None = None,
        observer: Observer | None = None,
    ) -> Ranking:
        """Order documents by relevance to a query.

        ``top_n``: how many to keep, from 1; ``None`` keeps all. ``score_threshold``: keep scores
        from this up, on the scale of ``normalization``, before ``top_n`` is applied.
        ``normalization``: how logits become scores: ``"sigmoid"``, ``"none"``, ``"minmax"`` or
        ``"softmax"`` over all documents of the request, or a ``Calibration``. ``max_length``:
        tokens of a query and a document together. ``long_documents``: ``"truncate"`` cuts a
        document's tail, ``"windows"`` scores overlapping parts and takes the largest logit.
        ``prune``: ``"auto"`` gives the whole model only to documents that can still reach
        ``top_n``, by a faster model's estimates, where the model's card names one.
        What is ``None`` is as given at construction.

        A document that is ``None`` is scored as ``""``. Raises ``InvalidRequestError``,
        ``ModelError``, ``BackendUnavailableError`` or ``NonFiniteScoreError``.
        """
        (ranking,) = self.rank_many(
            [(query, documents)],
            top_n=top_n,
            score_threshold=score_threshold,
            normalization=normalization,
            max_length=max_length,
            long_documents=long_documents,
            prune=prune,
            observer=observer,
        )
        return ranking

    def rank_many(
        self, requests: Iterable[tuple[str, Documents]], **options: Unpack[CallOptions]
    ) -> list[Ranking]:
        """Rank several queries, each with its documents, sharing batches; see ``rank``.

        Faster than one by one where queries have few documents. The rankings share their timings.
        """
        return self._run(requests, options)

    def score(
        self, query: str, documents: Documents, **options: Unpack[ScoreOptions]
    ) -> list[float]:
        """Every document's score, in the order given; see ``rank``."""
        (scores,) = self.score_many([(query, documents)], **options)
        return scores

    def score_many(
        self, requests: Iterable[tuple[str, Documents]], **options: Unpack[ScoreOptions]
    ) -> list[list[float]]:
        """``score`` for several queries, sharing batches; see ``rank_many``."""
        return _in_input_order(self._run(requests, options, keep_all=True))

    async def arank(
        self, query: str, documents: Documents, **options: Unpack[CallOptions]
    ) -> Ranking:
        """``rank`` in a worker thread; cancelled, it stops after the batch it is at."""
        (ranking,) = await self._arun([(query, documents)], options)
        return ranking

    async def arank_many(
        self, requests: Iterable[tuple[str, Documents]], **options: Unpack[CallOptions]
    ) -> list[Ranking]:
        """``rank_many``, as ``arank``."""
        return await self._arun(requests, options)

    async def ascore(
        self, query: str, documents: Documents, **options: Unpack[ScoreOptions]
    ) -> list[float]:
        """``score``, as ``arank``."""
        (scores,) = await self.ascore_many([(query, documents)], **options)
        return scores

    async def ascore_many(
        self, requests: Iterable[tuple[str, Documents]], **options: Unpack[ScoreOptions]
    ) -> list[list[float]]:
        """``score_many``, as ``arank``."""
        return _in_input_order(await self._arun(requests, options, keep_all=True))

    def warm_up(self) -> None:
        """Load the model now, unless it is loaded. Raises as the first ranking would."""
        self._load(Stopwatch(Observer()), pruning=self._rank_options.prune == "auto")

    async def awarm_up(self) -> None:
        """``warm_up`` in a worker thread."""
        await asyncio.to_thread(self.warm_up)

    def _run(
        self,
        requests: Iterable[tuple[str, Documents]],
        call_options: CallOptions | ScoreOptions,
        *,
        keep_all: bool = False,
        cancelled: threading.Event | None = None,
    ) -> list[Ranking]:
        """The whole flow, for all public methods."""
        given = check_names(call_options, ScoreOptions if keep_all else CallOptions)
        observer: Observer = given.pop("observer", None) or Observer()
        options = self._rank_options.keep_all() if keep_all else self._rank_options
        options = options.override(**given)
        checked = Request.check_all(requests)
        watch = Stopwatch(observer)

        def progress(done: int, total: int) -> None:
            if cancelled is not None and cancelled.is_set():
                raise asyncio.CancelledError
            observer.progress(done, total)

        if not any(request.texts for request in checked):
            return self._finish([self._ranking(None, watch.timings()) for _ in checked])
        model = self._load(watch, pruning=any(may_prune(each, options) for each in checked))
        with watch.phase("tokenize"):
            tokenized = [model.tokenize(request, options) for request in checked]
        with watch.phase("infer"):
            budget = self._load_options.max_batch_tokens
            kept = prune(
                self._process.pruner,
                checked,
                tokenized,
                options,
                max_batch_tokens=budget,
                progress=progress,
            )
            left = [tokens.only(texts) for tokens, texts in zip(tokenized, kept, strict=True)]
            pruned = sum(tokens.pairs for tokens in tokenized) - sum(each.pairs for each in left)
            scored = score_requests(
                model,
                left,
                max_batch_tokens=budget,
                progress=lambda done, total: progress(pruned + done, pruned + total),
            )
        with watch.phase("rank"):
            work = list(zip(checked, tokenized, kept, scored, strict=True))
            results = [self._select(model, *each, options) for each in work]
        timings = watch.timings()
        return self._finish(
            [
                self._ranking(
                    model,
                    timings,
                    results=result,
                    query_truncated=tokens.query_truncated,
                    counts=_count(request, tokens, texts, scores),
                )
                for (request, tokens, texts, scores), result in zip(work, results, strict=True)
            ]
        )

    def _load(self, watch: Stopwatch, *, pruning: bool = False) -> LoadedModel:
        """``pruning``: whether what prunes is needed too."""
        state = self._process
        if state.pid != os.getpid():
            state = self._process = _ProcessState()
        if state.model is None or (pruning and state.pruner is None):
            with watch.phase("load"), state.lock:
                # Another thread may have loaded it while this one waited.
                if state.model is None:
                    state.model = LoadedModel.load(self._load_options)
                if pruning and state.pruner is None:
                    state.pruner = Pruner.load(state.model, self._load_options)
        if pruning and state.pruner is not None and state.pruner.fallback:
            return replace(state.model, fallback=True)
        return state.model

    def _select(
        self,
        model: LoadedModel,
        request: Request,
        tokenized: TokenizedRequest,
        kept: Kept,
        scored: ScoredRequest,
        options: RankOptions,
    ) -> tuple[RankedDocument, ...]:
        slots = np.array(request.slots, dtype=np.intp)
        indices = np.flatnonzero(kept[slots])
        # Where each text that was kept is among them.
        logits = scored.logits[np.cumsum(kept)[slots[indices]] - 1]
        wrong = indices[~np.isfinite(logits)].tolist()
        if wrong:
            raise NonFiniteScoreError(
                model=self._name, backend=model.backend_name, query=request.query, indices=wrong
            )
        truncated = _truncated_tokens(request, tokenized)
        return select_documents(logits, indices.tolist(), truncated, options)

    def _ranking(
        self,
        model: LoadedModel | None,
        timings: Timings,
        *,
        results: tuple[RankedDocument, ...] = (),
        query_truncated: bool = False,
        counts: Counts = _NOTHING,
    ) -> Ranking:
        return Ranking(
            results=results,
            model=self._name,
            revision=model.files.revision if model else None,
            backend=model.backend_name if model else self._backend,
            device=model.backend.device if model else None,
            precision=model.precision if model else None,
            status="fallback" if model and model.fallback else "complete",
            query_truncated=query_truncated,
            timings=timings,
            counts=counts,
        )

    def _finish(self, rankings: list[Ranking]) -> list[Ranking]:
        if self._load_options.on_timing and rankings:
            self._load_options.on_timing(TimingEvent.of(*rankings))
        return rankings

    async def _arun(
        self,
        requests: Iterable[tuple[str, Documents]],
        options: CallOptions | ScoreOptions,
        *,
        keep_all: bool = False,
    ) -> list[Ranking]:
        cancelled = threading.Event()
        try:
            return await asyncio.to_thread(
                self._run, requests, options, keep_all=keep_all, cancelled=cancelled
            )
        finally:
            cancelled.set()

    # Not for type checkers, which would then take any name to be assignable.
    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: object) -> None:
            # Tests of programs replace methods, and subclasses have attributes of their own.
            if not name.startswith("_") and not callable(getattr(type(self), name, None)):
                refuse_assignment(name, unknown=type(self) is Reranker)
            super().__setattr__(name, value)

    # Nothing that a caller could change: one instance may stand for all its copies.
    def __copy__(self) -> Reranker:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Reranker:
        return self

    def _with_options(self, **options: Any) -> Reranker:
        """A new one, with these options and the rest of this one's."""
        return Reranker(**{**self.options, "token": self._load_options.token, **options})

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Reranker, **self.options), ()

    def __repr__(self) -> str:
        return f"Reranker({', '.join(f'{k}={v!r}' for k, v in self.options.items())})"


class _ProcessState:
    """What one process has loaded.

    A child of ``fork`` starts with a new one: the parent's threads aren't there to run the old
    one, and its lock may have been held by one of them.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.lock = threading.Lock()
        self.model: LoadedModel | None = None
        self.pruner: Pruner | None = None


def _truncated_tokens(request: Request, tokenized: TokenizedRequest) -> list[int]:
    return [tokenized.documents[slot].truncated_tokens for slot in request.slots]


def _count(
    request: Request, tokenized: TokenizedRequest, kept: Kept, scored: ScoredRequest
) -> Counts:
    truncated = _truncated_tokens(request, tokenized)
    return Counts(
        documents=len(truncated),
        pairs=scored.pairs,
        tokens=scored.tokens,
        padded_tokens=scored.padded_tokens,
        truncated_documents=sum(tokens > 0 for tokens in truncated),
        pruned_documents=sum(not kept[slot] for slot in request.slots),
    )


def _in_input_order(rankings: list[Ranking]) -> list[list[float]]:
    return [
        [result.score for result in sorted(ranking, key=lambda result: result.index)]
        for ranking in rankings
    ]
