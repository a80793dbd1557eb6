"""The second stage of retrieval: one engine, pluggable backends, one contract."""

from resift.calibrations import ModelCalibration
from resift.errors import (
    BackendUnavailableError,
    InvalidRequestError,
    ModelError,
    ModelNotFoundError,
    NonFiniteScoreError,
    OfflineError,
    OverloadedError,
    RemoteError,
    RemoteUnavailableError,
    ResiftError,
    SelfTestError,
    UnsupportedModelError,
)
from resift.evaluation.prior_fit import PriorReport
from resift.keywords import RerankerOptions
from resift.normalization import Calibration
from resift.prior import FittedPrior, Prior
from resift.ranking import Counts, RankedDocument, Ranking, Timings
from resift.reranker import Reranker
from resift.telemetry import Observer, Phase, TimingEvent

__version__ = "0.1.0"

__all__ = [
    "BackendUnavailableError",
    "Calibration",
    "Counts",
    "FittedPrior",
    "InvalidRequestError",
    "ModelCalibration",
    "ModelError",
    "ModelNotFoundError",
    "NonFiniteScoreError",
    "Observer",
    "OfflineError",
    "OverloadedError",
    "Phase",
    "Prior",
    "PriorReport",
    "RankedDocument",
    "Ranking",
    "RemoteError",
    "RemoteUnavailableError",
    "Reranker",
    "RerankerOptions",
    "ResiftError",
    "SelfTestError",
    "TimingEvent",
    "Timings",
    "UnsupportedModelError",
    "__version__",
]
