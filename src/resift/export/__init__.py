"""Prepare a cross-encoder of transformers for resift; needs ``pip install resift[export]``."""

from resift.export.command import export

__all__ = ["export"]
