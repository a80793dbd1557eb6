"""Datasets reranked as a whole: rows in, rows out, from files to files or as Arrow tables.

``docs/datasets.md`` describes it.
"""

from resift.datasets.columns import Columns
from resift.datasets.job import Asked, Job, Worker, model_of
from resift.datasets.report import Report
from resift.datasets.running import Runner, rerank_files
from resift.datasets.tables import TableRanker
from resift.datasets.tasks import Negatives, Rank, Score, Task

__all__ = [
    "Asked",
    "Columns",
    "Job",
    "Negatives",
    "Rank",
    "Report",
    "Runner",
    "Score",
    "TableRanker",
    "Task",
    "Worker",
    "model_of",
    "rerank_files",
]
