"""The options of a ranking: their names, their defaults, and what each may be."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, TypedDict, get_args

from resift.checks import (
    COMMIT,
    check_choice,
    check_devices,
    check_positive_int,
    check_score_threshold,
    check_text,
    check_token,
)
from resift.errors import InvalidRequestError
from resift.normalization import Calibration, Normalization, check_normalization, over_all_documents
from resift.telemetry import Observer, TimingEvent
from resift.text.windows import LongDocuments

Prune = Literal["auto", "off"]

DEFAULT_MODEL = "resift-small"
DEFAULT_BACKEND = "auto"
DEFAULT_NORMALIZATION: Normalization = "sigmoid"
DEFAULT_LONG_DOCUMENTS: LongDocuments = "truncate"


Token = str | Callable[[], str | None] | None
"""What the hub knows a user by, or a function that gives it when a model is looked for."""


class SharedOptions(TypedDict, total=False):
    """The keywords of ``Reranker`` that are the same in every framework."""

    model: str | os.PathLike[str]
    backend: str
    devices: Sequence[str] | None
    precision: str | None
    max_length: int | None
    max_batch_tokens: int | None
    threads: int | None
    normalization: Normalization
    long_documents: LongDocuments
    prune: Prune | None
    revision: str | None
    cache_dir: str | os.PathLike[str] | None
    offline: bool | None
    trust_remote_code: bool
    on_timing: Callable[[TimingEvent], None] | None


class RerankerOptions(SharedOptions, total=False):
    """The keywords of ``Reranker`` that an adapter passes on as they are.

    Frameworks have types of their own for these two.
    """

    device: str | None
    token: Token


class ScoreOptions(TypedDict, total=False):
    """The keywords of ``Reranker.score``."""

    normalization: Normalization | None
    max_length: int | None
    long_documents: LongDocuments | None
    observer: Observer | None


class CallOptions(ScoreOptions, total=False):
    """The keywords of ``Reranker.rank``."""

    top_n: int | None
    score_threshold: float | None
    prune: Prune | None


@dataclass(frozen=True, kw_only=True, slots=True)
class RankOptions:
    """What may differ from one call to the next. Invalid values raise ``InvalidRequestError``."""

    top_n: int | None = None
    score_threshold: float | None = None
    normalization: Normalization = DEFAULT_NORMALIZATION
    max_length: int | None = None
    long_documents: LongDocuments = DEFAULT_LONG_DOCUMENTS
    prune: Prune | None = None

    def __post_init__(self) -> None:
        check_positive_int("top_n", self.top_n, "None for all documents")
        check_score_threshold(self.score_threshold)
        check_positive_int("max_length", self.max_length, "None for the model's default")
        check_choice("long_documents", self.long_documents, get_args(LongDocuments))
        if self.prune is not None:
            check_choice("prune", self.prune, get_args(Prune))
        # numpy's numbers pass these checks, but JSON has no place for them.
        as_python = {
            "top_n": self.top_n and int(self.top_n),
            "score_threshold": None
            if self.score_threshold is None
            else float(self.score_threshold),
            "max_length": self.max_length and int(self.max_length),
            "normalization": check_normalization(self.normalization),
        }
        for name, value in as_python.items():
            object.__setattr__(self, name, value)
        if self.prune == "auto" and over_all_documents(self.normalization):
            raise InvalidRequestError(
                f"normalization={self.normalization!r} needs the logits of all documents, and "
                f"prune={self.prune!r} leaves some uncomputed; expected 'sigmoid', 'none' or a "
                "Calibration, or prune='off'"
            )

    def override(self, **given: object) -> RankOptions:
        """These options, with every one that was given at call time, which is: is not ``None``."""
        return replace(self, **{k: v for k, v in given.items() if v is not None})  # type: ignore[arg-type]

    def keep_all(self) -> RankOptions:
        """These options, with no document left out."""
        return replace(self, top_n=None, score_threshold=None, prune=None)


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadOptions:
    """What is fixed when a ``Reranker`` is made. Invalid values raise ``InvalidRequestError``."""

    model: str | os.PathLike[str] = DEFAULT_MODEL
    backend: str = DEFAULT_BACKEND
    device: str | None = None
    devices: Sequence[str] | None = None
    precision: str | None = None
    max_batch_tokens: int | None = None
    threads: int | None = None
    revision: str | None = None
    cache_dir: str | os.PathLike[str] | None = None
    offline: bool | None = None
    trust_remote_code: bool = False
    on_timing: Callable[[TimingEvent], None] | None = None
    token: Token = field(default=None, repr=False)

    @property
    def first_device(self) -> str | None:
        """Where the model runs, or the first of several places."""
        return self.devices[0] if self.devices else self.device

    def __post_init__(self) -> None:
        if not isinstance(self.model, (str, os.PathLike)) or not os.fspath(self.model):
            raise InvalidRequestError(f"model must be a name or a path, not {self.model!r}")
        if not isinstance(self.backend, str):
            raise InvalidRequestError(f"backend must be a str, not {self.backend!r}")
        if self.cache_dir is not None and not isinstance(self.cache_dir, (str, os.PathLike)):
            raise InvalidRequestError(f"cache_dir must be a path or None, not {self.cache_dir!r}")
        if self.offline is not None and not isinstance(self.offline, bool):
            raise InvalidRequestError(f"offline must be a bool or None, not {self.offline!r}")
        if self.on_timing is not None and not callable(self.on_timing):
            raise InvalidRequestError(f"on_timing must be callable or None: {self.on_timing!r}")
        if self.devices is not None:
            check_devices(self.devices, self.device)
            object.__setattr__(self, "devices", list(self.devices))
        for name in ("device", "precision", "revision"):
            check_text(name, getattr(self, name))
        if not callable(self.token):
            check_token(self.token)
        if not isinstance(self.trust_remote_code, bool):
            raise InvalidRequestError(
                f"trust_remote_code must be a bool, not {self.trust_remote_code!r}"
            )
        if self.trust_remote_code and not COMMIT.fullmatch(self.revision or ""):
            raise InvalidRequestError(
                "trust_remote_code=True trusts one version of the code: expected a full commit of "
                f"40 hexadecimal digits as revision, not {self.revision!r}"
            )
        check_positive_int("max_batch_tokens", self.max_batch_tokens, "None for the default")
        check_positive_int("threads", self.threads, "None for all that the process may use")


def split_options(given: Mapping[str, Any]) -> tuple[LoadOptions, RankOptions]:
    """The keywords of ``Reranker``: what is fixed when it is made, and what a call may change."""
    loads = LoadOptions.__dataclass_fields__
    load = {name: value for name, value in given.items() if name in loads}
    return LoadOptions(**load), RankOptions(**{k: v for k, v in given.items() if k not in loads})


def joined_options(load: LoadOptions, rank: RankOptions) -> dict[str, Any]:
    """The keywords of ``Reranker`` again, without ``token`` and those that are ``None``.

    Strings, numbers and dicts, save ``on_timing``.
    """
    given = {
        name: getattr(options, name)
        for options in (load, rank)
        for name in options.__dataclass_fields__
    }
    del given["token"]
    for name in ("model", "cache_dir"):
        given[name] = given[name] and os.fspath(given[name])
    # Omitted when False, so that options saved before it existed still compare equal.
    given["trust_remote_code"] = given["trust_remote_code"] or None
    if isinstance(given["normalization"], Calibration):
        given["normalization"] = asdict(given["normalization"])
    return {name: value for name, value in given.items() if value is not None}


def resolved(token: Token) -> str | None:
    """The token to send, asked for now where a function gives it; ``None`` where there is none."""
    if not callable(token):
        return token
    given = token()
    check_token(given)
    return given


def check_names(given: Mapping[str, Any], known: type) -> dict[str, Any]:
    """The keywords as a dict; raises ``TypeError`` for one that the ``TypedDict`` hasn't."""
    names = known.__annotations__
    unknown = sorted(set(given) - set(names))
    if unknown:
        raise TypeError(f"no such option: {', '.join(unknown)}; expected some of {list(names)}")
    return dict(given)


def refuse_assignment(name: str, *, unknown: bool) -> None:
    """Raise for an option as an attribute of a ``Reranker``, saying where else it goes.

    ``unknown``: for any other name too.
    """
    options = {**RerankerOptions.__annotations__, **CallOptions.__annotations__}
    if name in CallOptions.__annotations__:
        advice = f"others may share this Reranker; give it to rank(…, {name}=…)"
    elif name in options:
        advice = f"it is fixed; make a new one: Reranker(…, {name}=…)"
    elif not unknown:
        return
    else:
        advice = f"there is no such option; expected some of {sorted(options)}, and elsewhere"
    raise InvalidRequestError(f"{name} can't be assigned to a Reranker: {advice}")
