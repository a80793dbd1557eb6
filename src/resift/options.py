"""The options of a ranking, each declared once: its name, type, default, check and meaning.

Everything else about them comes from here: signatures, attributes and schemas, the command line,
and, by ``tools/keywords.py``, what type checkers see and the table in ``docs/contract.md``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, Literal, get_args

from resift import checks
from resift.calibrations import ModelCalibration
from resift.checks import COMMIT, check_choice, check_positive_int
from resift.declaring import Option, Place, check_each, declared_in, json_or_text, option
from resift.errors import InvalidRequestError
from resift.normalization import Normalization, check_normalization, over_all_documents
from resift.prior import Prior, PriorOption, check_prior, resolve_prior
from resift.telemetry import TimingEvent
from resift.text.windows import LongDocuments

Prune = Literal["auto", "off"]
OnError = Literal["raise", "first_stage"]

Token = str | Callable[[], str | None] | None
"""A user's token for the hub, or a function that returns it, called when a model is looked up."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RankOptions:
    """Options that a call may change. Invalid values raise ``InvalidRequestError``."""

    top_n: int | None = option(
        None,
        partial(check_positive_int, otherwise="None for all documents"),
        "how many documents to keep, from 1; None keeps all, and adapters keep 5 by default",
        at=("rank",),
        flag="-n",
    )
    score_threshold: float | None = option(
        None,
        checks.check_score_threshold,
        "the lowest score to keep, on the scale of normalization, before top_n is applied",
        see="[Order and threshold](#order-and-threshold)",
        at=("made", "rank"),
        flag="-t",
    )
    normalization: Normalization = option(
        "auto",
        lambda _, given: check_normalization(given),
        'how logits become scores; "auto" is "sigmoid", and "none" where there are no logits',
        see="[Scores](#scores)",
        at=("made", "rank", "score"),
        parse=json_or_text,
    )
    max_length: int | None = option(
        None,
        partial(check_positive_int, otherwise="None for the model's default"),
        "tokens of a query and a document together; None is the model's default",
        see="[Truncation](#truncation)",
        at=("made", "rank", "score"),
    )
    max_document_tokens: int | None = option(
        None,
        partial(check_positive_int, otherwise="None for as many as max_length has room for"),
        "tokens of a document that are read; None is as many as max_length has room for",
        see="[Truncation](#truncation)",
        at=("made", "rank", "score"),
    )
    long_documents: LongDocuments = option(
        "truncate",
        partial(check_choice, choices=get_args(LongDocuments)),
        "cut a document's tail, or score overlapping windows and take the largest logit",
        see="[Truncation](#truncation)",
        at=("made", "rank", "score"),
    )
    prune: Prune | None = option(
        None,
        partial(check_choice, choices=get_args(Prune), optional=True),
        'None or "off", or "auto" to spend the model only on documents that can still reach top_n',
        see="[Early exit](#early-exit)",
        at=("made", "rank"),
    )

    prior: PriorOption = option(
        None,
        lambda _, given: check_prior(given),
        'the order given as evidence: 0 for none, a weight, "auto" for the card\'s, or a Prior',
        see="[The order given](#the-order-given)",
        at=("made", "rank"),
        parse=json_or_text,
        adapters="auto",
    )

    deadline_ms: float | None = option(
        None,
        partial(checks.check_positive, otherwise="None for as long as it takes"),
        "milliseconds for a call, from its start; what isn't scored by then follows unscored",
        see="[In time](#in-time)",
        at=("made", "rank"),
    )
    max_documents: int | None = option(
        None,
        partial(check_positive_int, otherwise="None for all"),
        "how many documents to score, the first of those given; the others follow unscored",
        see="[In time](#in-time)",
        at=("made", "rank"),
    )
    on_error: OnError = option(
        "raise",
        partial(check_choice, choices=get_args(OnError)),
        "raise an error of scoring, or return the order given, without scores",
        see="[When scoring fails](#when-scoring-fails)",
        at=("made", "rank"),
    )

    def __post_init__(self) -> None:
        check_each(self)
        if self.prune == "auto" and over_all_documents(self.normalization):
            raise InvalidRequestError(
                f"normalization={self.normalization!r} needs the logits of all documents, and "
                f"prune={self.prune!r} leaves some uncomputed; expected 'sigmoid', 'none' or a "
                "Calibration, or prune='off'"
            )

    def override(self, **given: object) -> RankOptions:
        """These options, overridden by those given at call time (not ``None``)."""
        return replace(self, **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]

    def settled(self) -> RankOptions:
        """These options, with the prior that the calibration was fitted with as ``"auto"``.

        Raises ``InvalidRequestError`` where the prior is another.
        """
        fitted = self.normalization
        if not isinstance(fitted, ModelCalibration):
            return self
        own = Prior(**fitted.prior) if fitted.prior else 0.0
        if self.prior == "auto":
            return replace(self, prior=own)
        if resolve_prior(self.prior, None) != resolve_prior(own, None):
            raise InvalidRequestError(
                f"{fitted.label} was fitted with {own if fitted.prior else 'no prior'}, and this "
                f"call has prior={self.prior!r}: its scores would be wrong. Give prior='auto', "
                "which takes the calibration's; score() has none, so use rank()"
            )
        return self

    def keep_all(self) -> RankOptions:
        """These options, without those that ``score`` doesn't take: no document is left out."""
        rest = {n: each for n, each in declared_in(RankOptions).items() if "score" in each.at}
        return RankOptions(**{name: getattr(self, name) for name in rest})


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadOptions:
    """Options that a ``Reranker`` fixes when it is made.

    Invalid values raise ``InvalidRequestError``.
    """

    model: str | os.PathLike[str] = option(
        "resift-small",
        checks.check_model,
        "an installed model's name, a folder, a zip archive or its address, or a name on the hub",
        see="[Naming one](models.md#naming-one)",
        flag="-m",
    )
    backend: str = option(
        "auto",
        checks.check_str,
        'the backend; "auto" takes the first that is installed and passes the self-test',
        see="[Backends and devices](#backends-and-devices)",
    )
    device: str | None = option(
        None,
        checks.check_text,
        "the device that runs the model; None is the backend's default",
        see="[Backends and devices](#backends-and-devices)",
    )
    devices: Sequence[str] | None = option(
        None,
        checks.check_devices,
        "several devices in place of device, each with a process of its own",
        see="[Several GPUs](gpu.md#several-gpus)",
    )
    precision: str | None = option(
        None,
        checks.check_text,
        "the precision of the products; None is the model's first that this processor runs",
        see="[Backends and devices](#backends-and-devices)",
    )
    max_batch_tokens: int | None = option(
        None,
        partial(check_positive_int, otherwise="None for the default"),
        "padded tokens of one forward pass, which bounds memory; None is the backend's fastest",
    )
    threads: int | None = option(
        None,
        partial(check_positive_int, otherwise="None for all that the process may use"),
        "forward passes at a time, each on one CPU thread; None is the CPUs the process may use",
        see="[Threads, processes, memory](#threads-processes-memory)",
    )
    max_queue_pairs: int | None = option(
        None,
        partial(check_positive_int, otherwise="None for 100,000"),
        "pairs that may wait, of all callers, before calls are refused; None is 100,000",
        see="[Many callers](#many-callers)",
    )
    max_queue_tokens: int | None = option(
        None,
        partial(check_positive_int, otherwise="None for 20,000,000"),
        "padded tokens that may wait before calls are refused; None is 20,000,000",
        see="[Many callers](#many-callers)",
    )
    revision: str | None = option(
        None, checks.check_text, "a commit, tag or branch of a model from the hub"
    )
    cache_dir: str | os.PathLike[str] | None = option(
        None,
        checks.check_path,
        "the folder of downloaded models; None reads the environment",
        see="[The cache](models.md#the-cache)",
    )
    offline: bool | None = option(
        None,
        partial(checks.check_bool, optional=True),
        "open no connection; None reads the environment, and False may open some",
        see="[Offline](offline.md)",
    )
    trust_remote_code: bool = option(
        False,
        checks.check_bool,
        "trust the code of the commit that revision names, in full",
        see="[What is refused](models.md#what-is-refused)",
    )
    on_timing: Callable[[TimingEvent], None] | None = option(
        None,
        checks.check_callable,
        "a function that gets one TimingEvent after each call that succeeds",
        see="[Observability](observability.md#the-engine)",
        kind="function",
    )
    token: Token = option(
        None,
        checks.check_token_source,
        "your token for the hub, or a function that returns it; None is HF_TOKEN or the login",
        see="[Downloads](models.md#downloads)",
        kind="secret",
    )

    @property
    def first_device(self) -> str | None:
        """The device that runs the model, or the first of several."""
        return self.devices[0] if self.devices else self.device

    def __post_init__(self) -> None:
        check_each(self)
        if self.devices is not None and self.device is not None:
            raise InvalidRequestError(
                f"devices={self.devices!r} is given in place of a device, and device must then be "
                f"left out, not {self.device!r}"
            )
        if self.trust_remote_code and not COMMIT.fullmatch(self.revision or ""):
            raise InvalidRequestError(
                "trust_remote_code=True trusts one version of the code: expected a full commit of "
                f"40 hexadecimal digits as revision, not {self.revision!r}"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        kinds = declared_in(LoadOptions)
        kept = {n: getattr(self, n) for n, each in kinds.items() if each.kind != "secret"}
        return partial(LoadOptions, **kept), ()


def declared() -> dict[str, Option]:
    """The declarations of all options, by name."""
    return {**declared_in(LoadOptions), **declared_in(RankOptions)}


def defaults(place: Place) -> dict[str, Any]:
    """The defaults of the options that ``place`` takes, by name."""
    return {
        each.name: each.default
        for each in (*fields(LoadOptions), *fields(RankOptions))
        if place in each.metadata["option"].at
    }


def adapter_defaults() -> dict[str, Any]:
    """The defaults of the engine's options in adapters, by name."""
    others = {name: each.adapters for name, each in declared().items() if each.adapters is not None}
    return {**defaults("made"), **others}


DEFAULT_MODEL: str = defaults("made")["model"]
DEFAULT_BACKEND: str = defaults("made")["backend"]
