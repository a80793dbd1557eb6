"""Parts of configurations."""

from __future__ import annotations

from collections.abc import Callable

from resift.server.config import Config

Read = Callable[[str], Config]
A = '[models.a]\nmodel = "resift-nano"\n'
FAR = '[models.far]\nremote = "https://host"\n'
