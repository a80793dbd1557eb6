"""A small model of each kind, as FlagEmbedding runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from parity.flag_embedding.settings import FIELDS

if TYPE_CHECKING:
    from parity.flag_embedding.rerankers import Reference


@pytest.fixture(scope="session", params=list(FIELDS))
def reference(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Reference:
    from parity.flag_embedding.rerankers import make

    return make(request.param, tmp_path_factory.mktemp(request.param))
