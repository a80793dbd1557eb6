"""The settings of a server, from its command line and the tables of its configuration file."""

from __future__ import annotations

from dataclasses import dataclass

from resift.checks import check_positive_int


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The table ``[server]``. Invalid values raise ``InvalidRequestError``."""

    host: str = "127.0.0.1"
    port: int = 8080
    threads: int | None = None
    """Forward passes at a time, of all models; ``None`` for the CPUs that the process may use."""
    memory_mb: int | None = None
    """Megabytes that local models may take together; ``None`` for any number."""
    strict_models: bool = False
    """Whether a model that the configuration doesn't name is refused."""

    def __post_init__(self) -> None:
        check_positive_int("threads", self.threads, "left out for all that the process may use")
        check_positive_int("memory_mb", self.memory_mb, "left out for no limit")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The table ``[limits]``."""

    max_queue_pairs: int | None = None
    """Pairs that may wait, of all models; ``None`` for 100,000."""
    max_queue_tokens: int | None = None
    """Padded tokens that may wait, of all models; ``None`` for 20,000,000."""
