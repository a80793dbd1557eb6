"""resift for LangChain: rerank retrieved documents with a cross-encoder."""

from langchain_resift.cross_encoder import ResiftCrossEncoder
from langchain_resift.recorder import ResiftRecorder
from langchain_resift.reranker import ResiftReranker

__all__ = ["ResiftCrossEncoder", "ResiftRecorder", "ResiftReranker"]
