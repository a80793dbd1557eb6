"""Options that Haystack has its own types for: devices and secrets."""

from __future__ import annotations

from typing import Any

from haystack.utils import ComponentDevice, Secret

from resift import InvalidRequestError
from resift.adapter import describe


class Unpickled:
    """A secret that copies share and pickles leave out."""

    def __init__(self, secret: Secret | None) -> None:
        self.secret = secret

    def __deepcopy__(self, memo: object) -> Unpickled:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Unpickled, (None,)


def check_secret(name: str, given: object, variable: str) -> Secret:
    """Pass a ``Secret``. Raises ``InvalidRequestError`` for anything else, without showing it."""
    if not isinstance(given, Secret):
        # Not shown: it may be the secret itself.
        raise InvalidRequestError(
            f"{name} must be None or a haystack.utils.Secret, such as "
            f"Secret.from_env_var({variable!r}), not this {type(given).__name__}, which isn't shown"
        )
    return given


def device_name(device: object) -> str:
    """The engine's name for a device. Raises ``InvalidRequestError`` for several devices."""
    if isinstance(device, str):
        return device
    if not isinstance(device, ComponentDevice):
        raise InvalidRequestError(
            "device must be a str, None or a haystack.utils.ComponentDevice, such as "
            f"ComponentDevice.from_str('cuda:0'), not {describe(device)}"
        )
    if device.has_multiple_devices:
        raise InvalidRequestError(
            f"device must be a single device, as a model isn't split over several: {device}. "
            "Give devices=['cuda:0', 'cuda:1'] to run a copy of the model on each"
        )
    return device.to_torch_str()
