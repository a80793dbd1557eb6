"""The narrow waist: texts in, logits out. What answers requests, and what wraps around it."""

from resift.call import Call
from resift.options import LoadOptions
from resift.request import Request
from resift.scoring.cascade import Cascade
from resift.scoring.local import LocalScorer
from resift.scoring.remote.scorer import Remote
from resift.scoring.scorer import Scored, Scorer, Source

__all__ = [
    "Call",
    "Cascade",
    "LoadOptions",
    "LocalScorer",
    "Remote",
    "Request",
    "Scored",
    "Scorer",
    "Source",
]
