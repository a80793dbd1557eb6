"""The options of a ranking, each declared once: its name, type, default, check and meaning.

Everything else about them comes from here: signatures, attributes and schemas, the command line,
and, by ``tools/keywords.py``, what type checkers see and the table in ``docs/contract.md``.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from typing import Any, Literal, get_args

from resift import checks
from resift.checks import COMMIT, check_choice, check_positive_int
from resift.declaring import Option, Place, check_each, declared_in, option
from resift.errors import InvalidRequestError
from resift.normalization import Calibration, Normalization, check_normalization, over_all_documents
from resift.prior import Prior, PriorOption, check_prior, parse_prior
from resift.telemetry import TimingEvent
from resift.text.windows import LongDocuments

Prune = Literal["auto", "off"]

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
        "sigmoid",
        lambda _, given: check_normalization(given),
        "how logits become scores",
        see="[Scores](#scores)",
        at=("made", "rank", "score"),
    )
    max_length: int | None = option(
        None,
        partial(check_positive_int, otherwise="None for the model's default"),
        "tokens of a query and a document together; None is the model's default",
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
        parse=parse_prior,
        adapters="auto",
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
        "a bundled name, a folder, a zip archive or its address, or a name on the hub",
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


def split_options(given: Mapping[str, Any]) -> tuple[LoadOptions, RankOptions]:
    """Split the keywords of ``Reranker`` into those fixed when it is made and those of a call."""
    loads = declared_in(LoadOptions)
    load = {name: value for name, value in given.items() if name in loads}
    return LoadOptions(**load), RankOptions(**{k: v for k, v in given.items() if k not in loads})


def joined_options(load: LoadOptions, rank: RankOptions) -> dict[str, Any]:
    """Join options into the keywords of ``Reranker``, without secrets and those that are ``None``.

    All are strings, numbers and dicts, except ``on_timing``.
    """
    given = {
        name: getattr(options, name)
        for options in (load, rank)
        for name, each in declared_in(type(options)).items()
        if each.kind != "secret"
    }
    for name in ("model", "cache_dir"):
        given[name] = given[name] and os.fspath(given[name])
    # Omitted when False, so that options saved before it existed still compare equal.
    given["trust_remote_code"] = given["trust_remote_code"] or None
    if isinstance(given["normalization"], Calibration):
        given["normalization"] = asdict(given["normalization"])
    if isinstance(given["prior"], Prior):
        given["prior"] = given["prior"].to_dict()
    return {name: value for name, value in given.items() if value is not None}


def resolved(token: Token) -> str | None:
    """The token to send, called now if it is a function; ``None`` where there is none.

    Raises ``InvalidRequestError`` for a result that can't be sent, without showing it.
    """
    if not callable(token):
        return token
    given: str | None = checks.check_token("token", token())
    return given


def check_names(given: Mapping[str, Any], known: type) -> dict[str, Any]:
    """Pass keywords as a dict. Raises ``TypeError`` for one that isn't in the ``TypedDict``."""
    names = known.__annotations__
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise TypeError(f"no such option: {', '.join(unknown)}; expected some of {list(names)}")
    return dict(given)


def refuse_assignment(name: str, *, unknown: bool) -> None:
    """Raise ``InvalidRequestError`` for assigning an option to a ``Reranker``, saying what to do.

    With ``unknown``, for any other name too.
    """
    options = declared()
    if name == "observer" or name in declared_in(RankOptions):
        advice = f"others may share this Reranker; give it to rank(…, {name}=…)"
    elif name in options:
        advice = f"it is fixed; make a new one: Reranker(…, {name}=…)"
    elif not unknown:
        return
    else:
        advice = f"there is no such option; expected some of {sorted(options)}, and elsewhere"
    raise InvalidRequestError(f"{name} can't be assigned to a Reranker: {advice}")
