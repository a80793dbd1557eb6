"""The options of a remote model, checked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from resift import checks
from resift.errors import InvalidRequestError
from resift.protocols import PROTOCOLS, Limits, Shape
from resift.scales import ORDER
from resift.scoring.remote.asking import Clock

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """The keywords of ``Remote``, but for ``url`` and ``key``, which are secret or may be.

    Invalid values raise ``InvalidRequestError``.
    """

    protocol: str | Shape
    model: str | None = None
    scale: str | None = None
    limits: Limits | None = None
    timeout: float = 10.0
    attempts: int = 3
    concurrency: int = 4
    window: int = 20
    step: int = 10
    extra: Mapping[str, Any] = field(default_factory=dict)
    client: Callable[[], httpx.Client] | None = None
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        if not isinstance(self.protocol, Shape) and not (
            isinstance(self.protocol, str) and self.protocol in PROTOCOLS
        ):
            raise InvalidRequestError(
                f"protocol must be one of {list(PROTOCOLS)} or a Shape, not {self.protocol!r}"
            )
        shape = self.shape
        checks.check_text("model", self.model)
        checks.check_text("scale", self.scale)
        checks.check_callable("client", self.client)
        if shape.needs_model and self.model is None:
            raise InvalidRequestError(f"protocol={shape.name!r} needs model=, the model's name")
        if not isinstance(self.timeout, (int, float)) or not 0 < self.timeout < float("inf"):
            raise InvalidRequestError(f"timeout must be seconds above 0, not {self.timeout!r}")
        for name in ("attempts", "concurrency", "window", "step"):
            given = getattr(self, name)
            if checks.check_positive_int(name, given, "left out") is None:
                raise InvalidRequestError(f"{name} must be an int of at least 1, not None")
        if self.step > self.window:
            raise InvalidRequestError(
                f"step={self.step} would leave documents out: expected at most window={self.window}"
            )

    @property
    def shape(self) -> Shape:
        """The protocol itself."""
        return PROTOCOLS[self.protocol] if isinstance(self.protocol, str) else self.protocol

    @property
    def gives_an_order(self) -> bool:
        """Whether the server gives an order of the documents, and no scores."""
        return self.shape.scale == ORDER

    def given(self) -> dict[str, Any]:
        """The keywords that differ from their defaults."""
        default = Settings(protocol=self.protocol, model=self.model or "any")
        return {
            each.name: getattr(self, each.name)
            for each in fields(self)
            if each.name in ("protocol", "model")
            or (each.name != "clock" and getattr(self, each.name) != getattr(default, each.name))
        }
