"""Rerank LlamaIndex nodes with ``resift``."""

from llama_index.postprocessor.resift.base import ResiftRerank
from llama_index.postprocessor.resift.events import RerankTimingEvent
from llama_index.postprocessor.resift.recorder import ResiftRecorder

__all__ = ["RerankTimingEvent", "ResiftRecorder", "ResiftRerank"]
