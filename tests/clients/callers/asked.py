"""The tests' request to a client, and its form of results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A query and its documents, for a server."""

    url: str
    query: str
    documents: list[str]
    key: str
    top_n: int | None = None
    return_documents: bool = False

    @property
    def most(self) -> int:
        """``top_n``, for clients that know no word for all."""
        return self.top_n or len(self.documents)


Found = list[tuple[int, float, Any]]
"""The client's results in its order: index, score, and the document where it came back."""
