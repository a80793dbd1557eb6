"""A model behind a server."""

from resift.scoring.remote.scorer import Remote

__all__ = ["Remote"]
