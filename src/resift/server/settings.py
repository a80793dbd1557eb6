"""The settings of the server, each declared once, as the tables of its file have them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address
from typing import Any, Literal, get_args

from resift import checks
from resift.declaring import check_each, option
from resift.errors import InvalidRequestError

LogFormat = Literal["json", "text"]

_MIB = 2**20


def positive_int(name: str, given: Any) -> Any:
    """Pass integers from 1."""
    return required(name, checks.check_positive_int(name, given, "left out"))


def seconds(name: str, given: Any) -> Any:
    """Pass 0 and finite numbers above it."""
    if given == 0 and not isinstance(given, bool):
        return 0.0
    return required(name, checks.check_positive(name, given, "0"))


def required(name: str, checked: Any) -> Any:
    """Pass what is not ``None``."""
    if checked is None:
        raise InvalidRequestError(f"{name} must not be None; leave it out for the default")
    return checked


def _port(name: str, given: Any) -> int:
    if not isinstance(given, int) or isinstance(given, bool) or not 0 <= given < 65536:
        raise InvalidRequestError(f"{name} must be from 0, for any free one, to 65535: {given!r}")
    return given


def _prefix(name: str, given: Any) -> str:
    text = str(checks.check_str(name, given) if given else "")
    if text and (not text.startswith("/") or text.endswith("/")):
        raise InvalidRequestError(f"{name} must be like '/rerankers', or empty: {given!r}")
    return text


_optional_int = partial(checks.check_positive_int, otherwise="None for no bound")
_flag = checks.check_bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The table ``[server]``. Invalid values raise ``InvalidRequestError``."""

    host: str = option("127.0.0.1", checks.check_str, "the address to listen at")
    port: int = option(8080, _port, "the port to listen at; 0 is any free one")
    url_prefix: str = option("", _prefix, "a path before all routes, such as /rerankers")
    threads: int | None = option(
        None,
        partial(checks.check_positive_int, otherwise="None for all that the process may use"),
        "forward passes at a time, of all models together; None is the CPUs that it may use",
    )
    memory_mb: int | None = option(
        None,
        _optional_int,
        "megabytes that models may take; those used longest ago make room. None is no bound",
    )
    strict_models: bool = option(
        False,
        _flag,
        "refuse names of models that aren't served, in place of taking the default",
    )
    keys_file: str | None = option(
        None, checks.check_text, "a file with a key a line; see [Keys](serving.md#keys)"
    )
    require_keys: bool | None = option(
        None,
        partial(checks.check_bool, optional=True),
        "refuse to start without keys; None does so where it listens beyond this machine",
    )
    open_metrics: bool = option(False, _flag, "answer /metrics without a key")
    page: bool = option(True, _flag, "show a page for trying it out at /")
    drain_seconds: float = option(
        3.0, seconds, "seconds from SIGTERM in which new requests are told to go elsewhere"
    )
    shutdown_seconds: float = option(
        30.0, seconds, "seconds from SIGTERM in which requests that were accepted may finish"
    )
    header_seconds: float = option(10.0, seconds, "seconds for the head of a request to arrive")
    body_seconds: float = option(30.0, seconds, "seconds for a body to arrive")
    keep_alive_seconds: float = option(
        75.0, seconds, "seconds that an idle connection stays open: longer than a balancer's 60"
    )
    log_format: LogFormat | None = option(
        None,
        partial(checks.check_choice, choices=get_args(LogFormat), optional=True),
        "lines of JSON, or text; None is text on a terminal, and JSON elsewhere",
    )
    log_queries: bool = option(False, _flag, "log queries; documents are never logged")
    otlp_endpoint: str | None = option(
        None,
        checks.check_text,
        "where to send traces (OTLP over HTTP); None is OTEL_EXPORTER_OTLP_ENDPOINT, or nowhere",
    )

    def __post_init__(self) -> None:
        check_each(self)

    @property
    def is_local(self) -> bool:
        """Whether it listens to this machine alone."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The table ``[limits]``: bounds of one request, of all, and of each key."""

    body_bytes: int = option(32 * _MIB, positive_int, "bytes of a body")
    all_bodies_bytes: int = option(
        256 * _MIB, positive_int, "bytes of all bodies that are being read or ranked"
    )
    queries: int = option(100, positive_int, "queries of a request")
    documents: int = option(10_000, positive_int, "documents of a request")
    query_characters: int = option(100_000, positive_int, "characters of a query")
    document_characters: int = option(1_000_000, positive_int, "characters of a document")
    tokens: int = option(
        5_000_000, positive_int, "tokens that the model would read for a request, of all pairs"
    )
    pairs: int = option(
        20_000,
        positive_int,
        "pairs of query and document of all requests in work; where none is, any request is let in",
    )
    max_queue_pairs: int | None = option(
        None, _optional_int, "pairs that may wait for the models of this machine; None is 100,000"
    )
    max_queue_tokens: int | None = option(
        None, _optional_int, "padded tokens that may wait for them; None is 20,000,000"
    )
    key_pairs: int | None = option(
        None, _optional_int, "pairs of all requests in work with one key; None is no bound"
    )
    key_pairs_per_minute: int | None = option(
        None, _optional_int, "pairs that one key may send in a minute; None is no bound"
    )

    def __post_init__(self) -> None:
        check_each(self)


def _by_recorder(_name: str, given: Any) -> Any:
    """Leave the check to ``Recorder``."""
    return given


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """The table ``[record]``: what of the traffic is written down, and where."""

    file: str | None = option(
        None,
        checks.check_text,
        "a file of JSON lines, in a folder that exists; None is no recording",
    )
    rate: float = option(
        0.01, _by_recorder, "the share of different queries to record, from 0 to 1"
    )
    text: bool = option(False, _flag, "write queries and documents, and not only their hashes")
    salt_file: str | None = option(
        None,
        checks.check_text,
        "a file with the salt of the hashes; None is one that is made, and kept beside the lines",
    )
    max_bytes: int = option(
        100_000_000, positive_int, "bytes beyond which a file is put aside, and a new one begun"
    )
    keep: int = option(5, positive_int, "files put aside that are kept")

    def __post_init__(self) -> None:
        check_each(self)
