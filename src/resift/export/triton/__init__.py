"""A model repository for NVIDIA's Triton Inference Server."""

from resift.export.triton.command import TritonRepository, export_triton

__all__ = ["TritonRepository", "export_triton"]
