"""The options as keywords and attributes, for type checkers and editors.

Written by ``python tools/keywords.py`` from ``resift.options``; change them there.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypedDict

from resift.normalization import Normalization
from resift.options import OnError, Prune, Token
from resift.prior import PriorOption
from resift.telemetry import Observer, TimingEvent
from resift.text.windows import LongDocuments


class InitOptions(TypedDict, total=False):
    """The keywords of ``Reranker``, except its first."""

    backend: str
    """The backend; "auto" takes the first that is installed and passes the self-test."""
    device: str | None
    """The device that runs the model; None is the backend's default."""
    devices: Sequence[str] | None
    """Several devices in place of device, each with a process of its own."""
    precision: str | None
    """The precision of the products; None is the model's first that this processor runs."""
    max_batch_tokens: int | None
    """Padded tokens of one forward pass, which bounds memory; None is the backend's fastest."""
    threads: int | None
    """Forward passes at a time, each on one CPU thread; None is the CPUs the process may use."""
    max_queue_pairs: int | None
    """Pairs that may wait, of all callers, before calls are refused; None is 100,000."""
    max_queue_tokens: int | None
    """Padded tokens that may wait before calls are refused; None is 20,000,000."""
    revision: str | None
    """A commit, tag or branch of a model from the hub."""
    cache_dir: str | os.PathLike[str] | None
    """The folder of downloaded models; None reads the environment."""
    offline: bool | None
    """Open no connection; None reads the environment, and False may open some."""
    trust_remote_code: bool
    """Trust the code of the commit that revision names, in full."""
    on_timing: Callable[[TimingEvent], None] | None
    """A function that gets one TimingEvent after each call that succeeds."""
    token: Token
    """Your token for the hub, or a function that returns it; None is HF_TOKEN or the login."""
    score_threshold: float | None
    """The lowest score to keep, on the scale of normalization, before top_n is applied."""
    normalization: Normalization
    """How logits become scores; "auto" is "sigmoid", and "none" where there are no logits."""
    max_length: int | None
    """Tokens of a query and a document together; None is the model's default."""
    max_document_tokens: int | None
    """Tokens of a document that are read; None is as many as max_length has room for."""
    long_documents: LongDocuments
    """Cut a document's tail, or score overlapping windows and take the largest logit."""
    prune: Prune | None
    """None or "off", or "auto" to spend the model only on documents that can still reach top_n."""
    prior: PriorOption
    """The order given as evidence: 0 for none, a weight, "auto" for the card's, or a Prior."""
    deadline_ms: float | None
    """Milliseconds for a call, from its start; what isn't scored by then follows unscored."""
    max_documents: int | None
    """How many documents to score, the first of those given; the others follow unscored."""
    on_error: OnError
    """Raise an error of scoring, or return the order given, without scores."""


class LocalOptions(TypedDict, total=False):
    """The keywords of ``Local``, except its first."""

    backend: str
    """The backend; "auto" takes the first that is installed and passes the self-test."""
    device: str | None
    """The device that runs the model; None is the backend's default."""
    devices: Sequence[str] | None
    """Several devices in place of device, each with a process of its own."""
    precision: str | None
    """The precision of the products; None is the model's first that this processor runs."""
    max_batch_tokens: int | None
    """Padded tokens of one forward pass, which bounds memory; None is the backend's fastest."""
    threads: int | None
    """Forward passes at a time, each on one CPU thread; None is the CPUs the process may use."""
    max_queue_pairs: int | None
    """Pairs that may wait, of all callers, before calls are refused; None is 100,000."""
    max_queue_tokens: int | None
    """Padded tokens that may wait before calls are refused; None is 20,000,000."""
    revision: str | None
    """A commit, tag or branch of a model from the hub."""
    cache_dir: str | os.PathLike[str] | None
    """The folder of downloaded models; None reads the environment."""
    offline: bool | None
    """Open no connection; None reads the environment, and False may open some."""
    trust_remote_code: bool
    """Trust the code of the commit that revision names, in full."""
    token: Token
    """Your token for the hub, or a function that returns it; None is HF_TOKEN or the login."""


class SharedOptions(TypedDict, total=False):
    """The keywords of ``Reranker`` that are the same in every framework."""

    model: str | os.PathLike[str]
    """An installed model's name, a folder, a zip archive or its address, or a name on the hub."""
    backend: str
    """The backend; "auto" takes the first that is installed and passes the self-test."""
    devices: Sequence[str] | None
    """Several devices in place of device, each with a process of its own."""
    precision: str | None
    """The precision of the products; None is the model's first that this processor runs."""
    max_batch_tokens: int | None
    """Padded tokens of one forward pass, which bounds memory; None is the backend's fastest."""
    threads: int | None
    """Forward passes at a time, each on one CPU thread; None is the CPUs the process may use."""
    max_queue_pairs: int | None
    """Pairs that may wait, of all callers, before calls are refused; None is 100,000."""
    max_queue_tokens: int | None
    """Padded tokens that may wait before calls are refused; None is 20,000,000."""
    revision: str | None
    """A commit, tag or branch of a model from the hub."""
    cache_dir: str | os.PathLike[str] | None
    """The folder of downloaded models; None reads the environment."""
    offline: bool | None
    """Open no connection; None reads the environment, and False may open some."""
    trust_remote_code: bool
    """Trust the code of the commit that revision names, in full."""
    on_timing: Callable[[TimingEvent], None] | None
    """A function that gets one TimingEvent after each call that succeeds."""
    normalization: Normalization
    """How logits become scores; "auto" is "sigmoid", and "none" where there are no logits."""
    max_length: int | None
    """Tokens of a query and a document together; None is the model's default."""
    max_document_tokens: int | None
    """Tokens of a document that are read; None is as many as max_length has room for."""
    long_documents: LongDocuments
    """Cut a document's tail, or score overlapping windows and take the largest logit."""
    prune: Prune | None
    """None or "off", or "auto" to spend the model only on documents that can still reach top_n."""
    prior: PriorOption
    """The order given as evidence: 0 for none, a weight, "auto" for the card's, or a Prior."""
    deadline_ms: float | None
    """Milliseconds for a call, from its start; what isn't scored by then follows unscored."""
    max_documents: int | None
    """How many documents to score, the first of those given; the others follow unscored."""
    on_error: OnError
    """Raise an error of scoring, or return the order given, without scores."""


class RerankerOptions(TypedDict, total=False):
    """The keywords of ``Reranker`` that an adapter passes on."""

    model: str | os.PathLike[str]
    """An installed model's name, a folder, a zip archive or its address, or a name on the hub."""
    backend: str
    """The backend; "auto" takes the first that is installed and passes the self-test."""
    device: str | None
    """The device that runs the model; None is the backend's default."""
    devices: Sequence[str] | None
    """Several devices in place of device, each with a process of its own."""
    precision: str | None
    """The precision of the products; None is the model's first that this processor runs."""
    max_batch_tokens: int | None
    """Padded tokens of one forward pass, which bounds memory; None is the backend's fastest."""
    threads: int | None
    """Forward passes at a time, each on one CPU thread; None is the CPUs the process may use."""
    max_queue_pairs: int | None
    """Pairs that may wait, of all callers, before calls are refused; None is 100,000."""
    max_queue_tokens: int | None
    """Padded tokens that may wait before calls are refused; None is 20,000,000."""
    revision: str | None
    """A commit, tag or branch of a model from the hub."""
    cache_dir: str | os.PathLike[str] | None
    """The folder of downloaded models; None reads the environment."""
    offline: bool | None
    """Open no connection; None reads the environment, and False may open some."""
    trust_remote_code: bool
    """Trust the code of the commit that revision names, in full."""
    on_timing: Callable[[TimingEvent], None] | None
    """A function that gets one TimingEvent after each call that succeeds."""
    token: Token
    """Your token for the hub, or a function that returns it; None is HF_TOKEN or the login."""
    normalization: Normalization
    """How logits become scores; "auto" is "sigmoid", and "none" where there are no logits."""
    max_length: int | None
    """Tokens of a query and a document together; None is the model's default."""
    max_document_tokens: int | None
    """Tokens of a document that are read; None is as many as max_length has room for."""
    long_documents: LongDocuments
    """Cut a document's tail, or score overlapping windows and take the largest logit."""
    prune: Prune | None
    """None or "off", or "auto" to spend the model only on documents that can still reach top_n."""
    prior: PriorOption
    """The order given as evidence: 0 for none, a weight, "auto" for the card's, or a Prior."""
    deadline_ms: float | None
    """Milliseconds for a call, from its start; what isn't scored by then follows unscored."""
    max_documents: int | None
    """How many documents to score, the first of those given; the others follow unscored."""
    on_error: OnError
    """Raise an error of scoring, or return the order given, without scores."""


class ScoreOptions(TypedDict, total=False):
    """The keywords of ``Reranker.score``."""

    normalization: Normalization | None
    """How logits become scores; "auto" is "sigmoid", and "none" where there are no logits."""
    max_length: int | None
    """Tokens of a query and a document together; None is the model's default."""
    max_document_tokens: int | None
    """Tokens of a document that are read; None is as many as max_length has room for."""
    long_documents: LongDocuments | None
    """Cut a document's tail, or score overlapping windows and take the largest logit."""
    observer: Observer | None
    """An observer of this call's phases and progress."""


class CallOptions(TypedDict, total=False):
    """The keywords of ``Reranker.rank``."""

    top_n: int | None
    """How many documents to keep, from 1; None keeps all, and adapters keep 5 by default."""
    score_threshold: float | None
    """The lowest score to keep, on the scale of normalization, before top_n is applied."""
    normalization: Normalization | None
    """How logits become scores; "auto" is "sigmoid", and "none" where there are no logits."""
    max_length: int | None
    """Tokens of a query and a document together; None is the model's default."""
    max_document_tokens: int | None
    """Tokens of a document that are read; None is as many as max_length has room for."""
    long_documents: LongDocuments | None
    """Cut a document's tail, or score overlapping windows and take the largest logit."""
    prune: Prune | None
    """None or "off", or "auto" to spend the model only on documents that can still reach top_n."""
    prior: PriorOption | None
    """The order given as evidence: 0 for none, a weight, "auto" for the card's, or a Prior."""
    deadline_ms: float | None
    """Milliseconds for a call, from its start; what isn't scored by then follows unscored."""
    max_documents: int | None
    """How many documents to score, the first of those given; the others follow unscored."""
    on_error: OnError | None
    """Raise an error of scoring, or return the order given, without scores."""
    observer: Observer | None
    """An observer of this call's phases and progress."""


class DataOptions:
    """The engine's options as attributes of adapters: those that can be saved."""

    model: str
    """An installed model's name, a folder, a zip archive or its address, or a name on the hub."""
    backend: str
    """The backend; "auto" takes the first that is installed and passes the self-test."""
    device: str | None
    """The device that runs the model; None is the backend's default."""
    devices: list[str] | None
    """Several devices in place of device, each with a process of its own."""
    precision: str | None
    """The precision of the products; None is the model's first that this processor runs."""
    max_batch_tokens: int | None
    """Padded tokens of one forward pass, which bounds memory; None is the backend's fastest."""
    threads: int | None
    """Forward passes at a time, each on one CPU thread; None is the CPUs the process may use."""
    max_queue_pairs: int | None
    """Pairs that may wait, of all callers, before calls are refused; None is 100,000."""
    max_queue_tokens: int | None
    """Padded tokens that may wait before calls are refused; None is 20,000,000."""
    revision: str | None
    """A commit, tag or branch of a model from the hub."""
    cache_dir: str | None
    """The folder of downloaded models; None reads the environment."""
    offline: bool | None
    """Open no connection; None reads the environment, and False may open some."""
    trust_remote_code: bool
    """Trust the code of the commit that revision names, in full."""
    normalization: Normalization
    """How logits become scores; "auto" is "sigmoid", and "none" where there are no logits."""
    max_length: int | None
    """Tokens of a query and a document together; None is the model's default."""
    max_document_tokens: int | None
    """Tokens of a document that are read; None is as many as max_length has room for."""
    long_documents: LongDocuments
    """Cut a document's tail, or score overlapping windows and take the largest logit."""
    prune: Prune | None
    """None or "off", or "auto" to spend the model only on documents that can still reach top_n."""
    prior: PriorOption
    """The order given as evidence: 0 for none, a weight, "auto" for the card's, or a Prior."""
    deadline_ms: float | None
    """Milliseconds for a call, from its start; what isn't scored by then follows unscored."""
    max_documents: int | None
    """How many documents to score, the first of those given; the others follow unscored."""
    on_error: OnError
    """Raise an error of scoring, or return the order given, without scores."""
