"""``ResiftCrossEncoder``: pairs of texts in, scores out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from reprlib import repr as shortened
from typing import Unpack

from langchain_core.cross_encoders import BaseCrossEncoder

from langchain_resift.options import Options, plain
from resift import InvalidRequestError, Reranker
from resift.adapter import Adapter, read_once
from resift.attributes import EngineOptions, shows_engine_options


class ResiftCrossEncoder(EngineOptions, BaseCrossEncoder):
    """Scores pairs of a query and a text, for ``CrossEncoderReranker`` and the like.

    ``reranker``: a ready ``resift.Reranker``, which may be shared; otherwise ``options`` are its
    keywords, such as ``model=`` or ``normalization=``. The model is loaded at the first call. All
    options can be read as attributes; ``reranker`` may be assigned.

    Raises ``InvalidRequestError`` (a ``ValueError``) for an invalid option, or for ``options``
    together with a ``reranker``; ``TypeError`` for an unknown option; ``BackendUnavailableError``
    for a backend that isn't installed.
    """

    # Every pair has a score.
    _names = {}  # noqa: RUF012

    @shows_engine_options
    def __init__(self, *, reranker: Reranker | None = None, **options: Unpack[Options]) -> None:
        adapter = Adapter(
            reranker=reranker,
            top_n=None,
            score_threshold=None,
            metadata_fields=(),
            options=plain(options),
        )
        self._take(adapter)

    def score(self, text_pairs: Iterable[tuple[str, str]]) -> list[float]:
        """Score each pair of a query and a text, in the order given; pairs may mix queries.

        ``text_pairs`` may be any iterable, which is read once. A text may be ``None``, for ``""``.
        ``normalization="minmax"`` and ``"softmax"`` are over the texts of one query.

        Raises ``InvalidRequestError`` for a blank query, and for an element that isn't such a pair,
        naming its position; ``ModelError``, ``BackendUnavailableError`` or ``NonFiniteScoreError``,
        from ``resift``.
        """
        positions: defaultdict[str, list[int]] = defaultdict(list)
        pairs = read_once("text_pairs", text_pairs, "pairs of a query and a text")
        for position, pair in enumerate(pairs):
            positions[_check_pair(position, pair)].append(position)
        found = self.reranker.score_many(
            [(query, [pairs[n][1] for n in places]) for query, places in positions.items()]
        )
        scores = [0.0] * len(pairs)
        for places, values in zip(positions.values(), found, strict=True):
            for position, value in zip(places, values, strict=True):
                scores[position] = value
        return scores

    def __repr__(self) -> str:
        return f"{type(self).__name__}(reranker={self.reranker!r})"


def _check_pair(position: int, pair: object) -> str:
    match pair:
        case (str(query), str() | None):
            return query
    raise InvalidRequestError(
        f"text_pairs[{position}] must be a pair of str, a query and a text, not {shortened(pair)}"
    )
