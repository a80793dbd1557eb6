"""A cluster for tests of datasets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import clusters
import pytest


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes."""
    with clusters.cluster({"num_cpus": 1}, {"num_cpus": 1}) as made:
        yield made
