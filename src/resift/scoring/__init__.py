"""The narrow waist: texts in, logits out. What answers requests, and what wraps around it."""

from resift.call import Call
from resift.loading.passes import Waiting
from resift.loading.pool import Pool
from resift.options import LoadOptions
from resift.request import Request
from resift.scoring.by_name import Local
from resift.scoring.cached import Cached
from resift.scoring.cascade import Cascade
from resift.scoring.cuts import Margin
from resift.scoring.fallback import Fallback
from resift.scoring.local import LocalScorer
from resift.scoring.remote.scorer import Remote
from resift.scoring.scorer import Compound, Cutting, Identified, Scored, Scorer, Source

__all__ = [
    "Cached",
    "Call",
    "Cascade",
    "Compound",
    "Cutting",
    "Fallback",
    "Identified",
    "LoadOptions",
    "Local",
    "LocalScorer",
    "Margin",
    "Pool",
    "Remote",
    "Request",
    "Scored",
    "Scorer",
    "Source",
    "Waiting",
]
