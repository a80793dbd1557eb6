"""What the suite asks of the thing under test, and its own terms for results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from resift import Reranker

shared = Reranker()
"""The engine that results are compared with."""


@dataclass(frozen=True)
class Kept:
    """One result in the suite's terms: its position among the documents given, and its score."""

    index: int
    score: float


class Subject:
    """The five methods and the attributes that subclasses give."""

    import_name: str
    """The module to import."""
    default_top_n: int | None = 5
    """How many documents are kept when nothing is said."""

    def build(self, **options: Any) -> Any:
        """The thing under test, from the contract's option names."""
        raise NotImplementedError

    def to_native(
        self, texts: Sequence[Any], metadata: Sequence[Mapping[str, Any]] | None = None
    ) -> list[Any]:
        """The framework's documents, for texts and (as long) their metadata.

        A text that is ``None`` is one the framework knows as missing, or else ``""``.
        """
        raise NotImplementedError

    def run(self, subject: Any, query: Any, documents: Any, **call_options: Any) -> Any:
        """Rank, with ``call_options`` from those the framework has at call time.

        ``documents`` is passed on as it is: some rows give what must be refused.
        """
        raise NotImplementedError

    async def arun(self, subject: Any, query: Any, documents: Any, **call_options: Any) -> Any:
        """``run`` through the framework's asynchronous interface."""
        raise NotImplementedError

    def read(self, output: Any, documents: list[Any]) -> list[Kept]:
        """What was returned, best first, in the suite's terms."""
        raise NotImplementedError

    def rank(
        self,
        query: Any,
        texts: Sequence[Any],
        call: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> list[Kept]:
        """Build, run and read in one go."""
        documents = self.to_native(texts)
        output = self.run(self.build(**options), query, documents, **(call or {}))
        return self.read(output, documents)
