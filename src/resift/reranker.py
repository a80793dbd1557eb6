"""``Reranker``: from a query and documents to a ``Ranking``."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

from resift.call import Call
from resift.declaring import declared_in
from resift.flow import rank_all, scores_in_input_order
from resift.given import check_names, joined_options, refuse_assignment, split_options
from resift.keywords import CallOptions, InitOptions, ScoreOptions
from resift.options import DEFAULT_MODEL, LoadOptions, defaults
from resift.ranking import Ranking
from resift.request import Request
from resift.scoring.estimator import EarlyExit
from resift.scoring.ready import check_scorer
from resift.scoring.scorer import Scorer, cuts_of
from resift.signatures import shows
from resift.telemetry import TimingEvent, check_observer
from resift.text.windows import LongDocuments
from resift.threads import in_thread

Documents = Iterable[str | None]
Scores = Iterable[float | None]


class Reranker:
    """Ranks documents by relevance to a query, with a cross-encoder.

    The model is loaded at the first call that needs it, or by ``warm_up``. One instance may be
    shared by any number of threads and tasks, and survives a ``fork``.

    ``model``: the name of an installed model, a folder (``config.json``, ``tokenizer.json``,
    ``model.onnx``), a zip archive of one or its address with ``#sha256=``, a name of the catalogue
    (``resift models list``), or a hub repository ``"owner/name"``. ``revision``, ``cache_dir`` and
    ``offline`` apply to downloads; ``offline=None`` reads ``RESIFT_OFFLINE`` and
    ``HF_HUB_OFFLINE``. ``token`` is for the hub, a ``str`` or a function that returns one; ``None``
    leaves it to ``HF_TOKEN`` and the hub's own login. It isn't shown, kept in ``options`` or
    pickled. ``trust_remote_code`` needs a full commit as ``revision``.

    ``backend``: a name of ``resift.backends.BACKENDS``, or ``"auto"``: the fastest that is
    installed and reproduces the logits that the model's author measured. ``device`` and
    ``precision`` default to the backend's and the model's. ``devices`` runs the model in a process
    on each of several devices, in place of ``device``. ``threads``, by default the CPUs that the
    process may use, is the number of forward passes that run at a time. ``max_batch_tokens`` bounds
    the padded tokens of one pass, and so memory; the default is the backend's.

    ``normalization``, ``score_threshold``, ``max_length``, ``long_documents`` and ``prune`` are
    defaults for ``rank``, where they are described. ``on_timing`` gets one ``TimingEvent`` after
    each call that succeeds, in the thread that did the work; if it raises, so does the call.

    ``scorer``: a ready ``resift.scoring.scorer.Scorer``, in place of ``model`` and all options that
    load one.

    ``resift.options`` declares each option with its type, default and check.

    Raises ``InvalidRequestError`` for an invalid option, ``BackendUnavailableError`` for a backend
    that isn't installed; the first ranking raises ``ModelError`` for a model that is missing or
    can't be run.
    """

    @shows(InitOptions, defaults("made"))
    def __init__(
        self,
        model: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        scorer: Scorer | None = None,
        **options: Unpack[InitOptions],
    ) -> None:
        for name in options:
            if name not in InitOptions.__annotations__:
                raise TypeError(f"Reranker.__init__() got an unexpected keyword argument {name!r}")
        self._load_options, self._rank_options = split_options({"model": model, **options})
        self._given_scorer = scorer
        if scorer is not None:
            check_scorer(scorer, self._load_options)
        self._scorer = EarlyExit(self._load_options) if scorer is None else scorer

    @property
    def options(self) -> dict[str, Any]:
        """The keywords that recreate this ``Reranker``, without those that are ``None``.

        All are strings, numbers and dicts, except ``on_timing`` and ``scorer``. ``token`` is left
        out.
        """
        given = joined_options(self._load_options, self._rank_options)
        if self._given_scorer is not None:
            loading = declared_in(LoadOptions).keys() - {"on_timing"}
            given = {name: each for name, each in given.items() if name not in loading}
            given["scorer"] = self._given_scorer
        return given

    def rank(
        self,
        query: str,
        documents: Documents,
        *,
        first_stage_scores: Scores | None = None,
        **options: Unpack[CallOptions],
    ) -> Ranking:
        """Order documents by relevance to a query, best first.

        ``top_n``: how many to keep, from 1; ``None`` keeps all. ``score_threshold``: keep scores
        of at least this, on the scale of ``normalization``, before ``top_n`` is applied.
        ``normalization``: how logits become scores: ``"sigmoid"``, ``"none"``, ``"minmax"`` or
        ``"softmax"`` over all documents of the request, or a ``Calibration``. ``max_length``:
        tokens of a query and a document together. ``long_documents``: ``"truncate"`` cuts a
        document's tail, ``"windows"`` scores overlapping parts and takes the largest logit.
        ``prune``: ``"auto"`` gives the whole model only to documents that can still reach
        ``top_n``, by a faster model's estimates, where the model's card names one. ``prior``: what
        the order that the documents are given in says of them, as log-odds added to the logits: 0
        for nothing, a weight, ``"auto"`` for the weight on the model's card, or a ``Prior``, which
        may also use ``first_stage_scores``: those that the documents came with, ``None`` for those
        without.
        ``None`` means the value given at construction.

        A document that is ``None`` is scored as ``""``. Raises ``InvalidRequestError``,
        ``ModelError``, ``BackendUnavailableError`` or ``NonFiniteScoreError``.
        """
        (ranking,) = self._run([(query, documents)], options, [first_stage_scores])
        return ranking

    def rank_many(
        self,
        requests: Iterable[tuple[str, Documents]],
        *,
        first_stage_scores: Iterable[Scores | None] | None = None,
        **options: Unpack[CallOptions],
    ) -> list[Ranking]:
        """Rank several queries, each with its documents, sharing batches; see ``rank``.

        This is faster than ``rank`` for each where queries have few documents. Returns one ranking
        for each query, in the order given; they share their timings. ``first_stage_scores`` has a
        list, or ``None``, for each query.
        """
        return self._run(requests, options, first_stage_scores)

    def score(
        self, query: str, documents: Documents, **options: Unpack[ScoreOptions]
    ) -> list[float]:
        """Score every document, in the order given; see ``rank``."""
        (scores,) = self.score_many([(query, documents)], **options)
        return scores

    def score_many(
        self, requests: Iterable[tuple[str, Documents]], **options: Unpack[ScoreOptions]
    ) -> list[list[float]]:
        """``score`` for several queries, sharing batches; see ``rank_many``."""
        return scores_in_input_order(self._run(requests, options, keep_all=True))

    def cuts(
        self,
        query: str,
        documents: Documents,
        *,
        max_length: int | None = None,
        max_document_tokens: int | None = None,
        long_documents: LongDocuments | None = None,
    ) -> list[int | None]:
        """Find where the model stops reading each document, in the order given.

        Each is the offset, in characters (code points) from 0, of the first one that the model
        doesn't see with these options, or ``None`` where it sees all. Nothing is scored.

        Raises what ``score`` does, and ``InvalidRequestError`` for a ``scorer`` that can't tell.
        """
        options = self._rank_options.override(
            max_length=max_length,
            max_document_tokens=max_document_tokens,
            long_documents=long_documents,
        )
        call = Call.of(replace(options, deadline_ms=None))
        request = Request.of(query, documents)
        found = cuts_of(self._scorer, request, call) if request.texts else []
        return [found[slot] for slot in request.slots]

    async def arank(
        self,
        query: str,
        documents: Documents,
        *,
        first_stage_scores: Scores | None = None,
        **options: Unpack[CallOptions],
    ) -> Ranking:
        """``rank`` in a worker thread; when cancelled, it stops after the current batch."""
        (ranking,) = await self._arun([(query, documents)], options, [first_stage_scores])
        return ranking

    async def arank_many(
        self,
        requests: Iterable[tuple[str, Documents]],
        *,
        first_stage_scores: Iterable[Scores | None] | None = None,
        **options: Unpack[CallOptions],
    ) -> list[Ranking]:
        """``rank_many`` in a worker thread; see ``arank``."""
        return await self._arun(requests, options, first_stage_scores)

    async def ascore(
        self, query: str, documents: Documents, **options: Unpack[ScoreOptions]
    ) -> list[float]:
        """``score`` in a worker thread; see ``arank``."""
        (scores,) = await self.ascore_many([(query, documents)], **options)
        return scores

    async def ascore_many(
        self, requests: Iterable[tuple[str, Documents]], **options: Unpack[ScoreOptions]
    ) -> list[list[float]]:
        """``score_many`` in a worker thread; see ``arank``."""
        return scores_in_input_order(await self._arun(requests, options, keep_all=True))

    def warm_up(self) -> None:
        """Load the model now, unless it is loaded. Raises what the first ranking would raise."""
        # However long it takes, a deadline is for ranking.
        self._scorer.warm_up(Call.of(replace(self._rank_options, deadline_ms=None)))

    async def awarm_up(self) -> None:
        """``warm_up`` in a worker thread."""
        await in_thread(self.warm_up)

    def _run(
        self,
        requests: Iterable[tuple[str, Documents]],
        call_options: CallOptions | ScoreOptions,
        first_stage_scores: Iterable[Scores | None] | None = None,
        *,
        keep_all: bool = False,
        cancelled: threading.Event | None = None,
        start: float | None = None,
    ) -> list[Ranking]:
        """Run one call, for all public methods."""
        given = check_names(call_options, ScoreOptions if keep_all else CallOptions)
        observer = check_observer(given.pop("observer", None))
        options = self._rank_options.keep_all() if keep_all else self._rank_options
        options = options.override(**given).settled()
        call = Call.of(options, observer, cancelled, start)
        rankings = rank_all(self._scorer, Request.of_all(requests, first_stage_scores), call)
        if self._load_options.on_timing and rankings:
            self._load_options.on_timing(TimingEvent.of(*rankings))
        return rankings

    async def _arun(
        self,
        requests: Iterable[tuple[str, Documents]],
        options: CallOptions | ScoreOptions,
        first_stage_scores: Iterable[Scores | None] | None = None,
        *,
        keep_all: bool = False,
    ) -> list[Ranking]:
        cancelled = threading.Event()
        try:
            return await in_thread(
                self._run,
                requests,
                options,
                first_stage_scores,
                keep_all=keep_all,
                cancelled=cancelled,
                start=time.perf_counter(),
            )
        finally:
            cancelled.set()

    # Not for type checkers, which would then take any name to be assignable.
    if not TYPE_CHECKING:

        def __setattr__(self, name: str, value: object) -> None:
            # Users' tests replace methods, and subclasses have attributes of their own.
            if not name.startswith("_") and not callable(getattr(type(self), name, None)):
                refuse_assignment(name, unknown=type(self) is Reranker)
            super().__setattr__(name, value)

    # Immutable to callers, so a copy is the instance itself.
    def __copy__(self) -> Reranker:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Reranker:
        return self

    def _with_options(self, **options: Any) -> Reranker:
        """A new ``Reranker`` with these options, and with this one's for the rest."""
        return Reranker(**{**self.options, "token": self._load_options.token, **options})

    def __reduce__(self) -> tuple[Any, ...]:
        return partial(Reranker, **self.options), ()

    def __repr__(self) -> str:
        return f"Reranker({', '.join(f'{k}={v!r}' for k, v in self.options.items())})"
