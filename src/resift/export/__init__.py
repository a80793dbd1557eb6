"""Prepare a cross-encoder of transformers for resift, or any model for Triton.

The first needs ``pip install resift[export]``, and so does a model that isn't there as ONNX.
"""

from resift.export.command import export
from resift.export.triton import TritonRepository, export_triton

__all__ = ["TritonRepository", "export", "export_triton"]
