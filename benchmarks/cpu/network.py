"""Nothing that is measured asks or tells anybody anything."""

from __future__ import annotations

import os
import sys

# Read by the libraries when they are imported.
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "ORT_DISABLE_TELEMETRY": "1"}


def stay_offline() -> None:
    """For this process; before any library is imported."""
    os.environ.update(OFFLINE)
    # OpenVINO and NNCF do without where there is none.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
