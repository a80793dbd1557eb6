"""Rerank LlamaIndex nodes with ``resift``."""

from llama_index.postprocessor.resift.base import ResiftRerank
from llama_index.postprocessor.resift.events import RerankTimingEvent

__all__ = ["RerankTimingEvent", "ResiftRerank"]
