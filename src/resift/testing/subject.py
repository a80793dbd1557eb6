"""The interface that the suite needs of its subject, and its own form of results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from resift import Reranker

shared = Reranker()
"""The engine that results are compared with."""


@dataclass(frozen=True)
class Kept:
    """One result: its position among the documents given, from 0, and its score, if it has one."""

    index: int
    score: float | None


class Subject:
    """The subject under test: five methods and two attributes for subclasses to override."""

    import_name: str
    """The module to import."""
    default_top_n: int | None = 5
    """The default ``top_n``."""

    def build(self, **options: Any) -> Any:
        """Build the subject from options by the contract's names."""
        raise NotImplementedError

    def to_native(
        self, texts: Sequence[Any], metadata: Sequence[Mapping[str, Any]] | None = None
    ) -> list[Any]:
        """Make the framework's documents of texts and, of the same length, their metadata.

        For a text of ``None``, make a document without text, or with ``""`` where the framework has
        no such documents.
        """
        raise NotImplementedError

    scored_options: ClassVar[Mapping[str, Any]] = {}
    """The options that a subject needs to read the scores of ``to_scored``."""

    def to_scored(self, texts: Sequence[Any], scores: Sequence[float | None]) -> list[Any]:
        """Make the framework's documents with the scores that a retriever gave them."""
        raise NotImplementedError

    def run(self, subject: Any, query: Any, documents: Any, **call_options: Any) -> Any:
        """Rank, with ``call_options`` by the contract's names where the framework takes them.

        ``documents`` is passed on as it is: some rows give invalid ones.
        """
        raise NotImplementedError

    async def arun(self, subject: Any, query: Any, documents: Any, **call_options: Any) -> Any:
        """Do the same as ``run`` through the framework's asynchronous interface."""
        raise NotImplementedError

    def read(self, output: Any, documents: list[Any]) -> list[Kept]:
        """Read the ``output`` of ``run`` as ``Kept`` records, best first."""
        raise NotImplementedError

    def rank(
        self,
        query: Any,
        texts: Sequence[Any],
        call: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> list[Kept]:
        """Build a subject, run it and read its output.

        Without a prior, unless ``options`` have one: most rows are about the model's own scores.
        """
        if "reranker" not in options:
            options = {"prior": 0, **options}
        documents = self.to_native(texts)
        output = self.run(self.build(**options), query, documents, **(call or {}))
        return self.read(output, documents)
