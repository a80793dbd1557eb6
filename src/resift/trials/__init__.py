"""Evaluation of first stages and rerankers on people's own data."""

from resift.trials.collection import Collection
from resift.trials.defects.defect import Defect
from resift.trials.reading import read_collection
from resift.trials.report import Report
from resift.trials.trial import evaluate

__all__ = ["Collection", "Defect", "Report", "evaluate", "read_collection"]
