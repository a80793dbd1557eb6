"""The comparison of a reranking server with a model here: the same pairs, scored by both."""

from resift.compare.comparing import compare_server
from resift.compare.findings import Finding
from resift.compare.report import Report

__all__ = ["Finding", "Report", "compare_server"]
