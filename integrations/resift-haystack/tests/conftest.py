"""Documents to rank."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from haystack import Document

from resift.testing import TEXTS


@pytest.fixture
def make_documents() -> Callable[[], list[Document]]:
    """Makes new ones, of the contract's texts."""
    return lambda: [Document(content=text, meta={"position": n}) for n, text in enumerate(TEXTS)]
