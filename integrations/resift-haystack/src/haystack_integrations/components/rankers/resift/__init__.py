"""resift for Haystack: a ranker that runs cross-encoders, on any CPU, offline."""

from haystack_integrations.components.rankers.resift.ranker import ResiftRanker
from haystack_integrations.components.rankers.resift.recorder import ResiftRecorder

__all__ = ["ResiftRanker", "ResiftRecorder"]
