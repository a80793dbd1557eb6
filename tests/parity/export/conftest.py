"""A small BERT as its source, and as the graph that is made of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from resift.export.libraries import Libraries


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from parity.encoders import save_encoder

    return save_encoder("bert", tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def libraries() -> Libraries:
    return Libraries.load()


@pytest.fixture(scope="session")
def bert_graph(libraries: Libraries, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from parity.export.graphs import traced

    return traced(libraries, "bert", tmp_path_factory.mktemp("bert"))
