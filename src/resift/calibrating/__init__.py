"""Calibrations from judged pairs or clicks: fitted, tried on other queries, reported, saved."""

from resift.calibrating.fitting import FittedCalibration, calibrate
from resift.calibrating.report import CalibrationReport

__all__ = ["CalibrationReport", "FittedCalibration", "calibrate"]
