"""What the adapters share: their options, their one text format, and the call to the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from resift.errors import InvalidRequestError
from resift.options import RankOptions, RerankerOptions, check_names
from resift.ranking import Ranking
from resift.reranker import Reranker
from resift.telemetry import Observer

DEFAULT_TOP_N = 5
"""How many documents an adapter keeps unless told otherwise."""


class Integration:
    """An engine with an adapter's own options: the part that is the same in every framework.

    ``reranker`` is a ready engine, or ``options`` are the keywords for a new one; giving both
    raises ``InvalidRequestError``, as do values that can't be. ``top_n=None`` keeps all.
    ``metadata_fields`` are names of metadata to put before each text.
    """

    def __init__(
        self,
        *,
        reranker: Reranker | None,
        top_n: int | None,
        score_threshold: float | None,
        metadata_fields: Sequence[str],
        options: RerankerOptions,
    ) -> None:
        check_names(options, RerankerOptions)
        if reranker is not None and options:
            raise InvalidRequestError(
                f"give either a ready reranker= or the options for a new one, not both: "
                f"got a reranker and {sorted(options)}"
            )
        if reranker is not None and not isinstance(reranker, Reranker):
            raise InvalidRequestError(f"reranker must be a resift.Reranker, not {reranker!r}")
        if isinstance(metadata_fields, str) or not (
            isinstance(metadata_fields, Sequence)
            and all(isinstance(name, str) for name in metadata_fields)
        ):
            raise InvalidRequestError(
                f"metadata_fields must be a sequence of str, such as ('title',): "
                f"{metadata_fields!r}"
            )
        # Raises now, where the adapter is made, and not at its first call.
        checked = RankOptions(top_n=top_n, score_threshold=score_threshold)
        self.reranker = Reranker(**options) if reranker is None else reranker
        self.top_n = checked.top_n
        # A ready reranker may have one of its own, which to_dict has to keep.
        own = self.reranker.options.get("score_threshold")
        self.score_threshold = own if score_threshold is None else checked.score_threshold
        self.metadata_fields = tuple(metadata_fields)

    def text(self, content: Any, metadata: Mapping[str, Any]) -> Any:
        """The text to score: one ``name: value`` line for each field present, then the content.

        ``None`` as content is ``""``; what isn't a string is left for the engine to refuse.
        """
        if content is not None and not isinstance(content, str):
            return content
        present = (name for name in self.metadata_fields if metadata.get(name) is not None)
        return "\n".join([*(f"{name}: {metadata[name]}" for name in present), content or ""])

    def rank(
        self,
        query: str,
        texts: Sequence[str | None],
        *,
        top_n: int | None = None,
        score_threshold: float | None = None,
        observer: Observer | None = None,
    ) -> Ranking:
        """``Reranker.rank`` with the adapter's options where the call gives none."""
        return self.reranker.rank(
            query, texts, observer=observer, **self._call_options(top_n, score_threshold)
        )

    async def arank(
        self,
        query: str,
        texts: Sequence[str | None],
        *,
        top_n: int | None = None,
        score_threshold: float | None = None,
        observer: Observer | None = None,
    ) -> Ranking:
        """``Reranker.arank`` with the adapter's options where the call gives none."""
        return await self.reranker.arank(
            query, texts, observer=observer, **self._call_options(top_n, score_threshold)
        )

    def to_dict(self) -> dict[str, Any]:
        """The keywords that make this again, for a framework that saves its components.

        Strings, numbers, lists and dicts, save ``on_timing``. A ready ``reranker`` is described by
        the options it was made with.
        """
        return {
            **self.reranker.options,
            "top_n": self.top_n,
            "score_threshold": self.score_threshold,
            "metadata_fields": list(self.metadata_fields),
        }

    def _call_options(self, top_n: int | None, score_threshold: float | None) -> dict[str, Any]:
        return {
            "top_n": self.top_n if top_n is None else top_n,
            "score_threshold": self.score_threshold if score_threshold is None else score_threshold,
        }
