"""The pool: what all rankers found, in an order that doesn't say who did."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from resift.errors import InvalidRequestError
from resift.files.recorded import Recorded


@dataclass(frozen=True, slots=True)
class Pair:
    """A query and a document to be judged."""

    query_id: str
    document_id: str
    query: str
    document: str

    @property
    def key(self) -> tuple[str, str]:
        """The ids of both."""
        return self.query_id, self.document_id


@dataclass(frozen=True, slots=True)
class Pool:
    """The pairs, those of a query together."""

    pairs: Sequence[Pair]
    contradicted: int = 0
    """Documents that were recorded with different texts for the same query; the first is shown."""


def union(rankings: Iterable[Sequence[str]], depth: int) -> set[str]:
    """The first ``depth`` of each ranking, without repeats."""
    return {name for ranking in rankings for name in ranking[:depth]}


def shuffled(query_id: str, documents: Iterable[str], seed: int) -> list[str]:
    """Documents in an order that depends on their ids and ``seed`` alone.

    So it is the same whoever found them, and stays the same for those that a larger pool adds to.
    """

    def place(name: str) -> bytes:
        # Lengths keep different pairs of ids apart.
        key = f"{seed} {len(query_id)} {query_id} {name}"
        return sha256(key.encode("utf-8", "surrogatepass")).digest()

    return sorted(documents, key=place)


def pooled(searches: Iterable[Recorded], *, depth: int = 10, seed: int = 0) -> Pool:
    """Pool the first ``depth`` documents of each ranker for each query.

    Queries come in the order of the searches. Raises ``InvalidRequestError`` where a query or a
    document has no text in any of them, or an id stands for two queries.
    """
    queries: dict[str, str | None] = {}
    rankings: dict[str, list[Sequence[str]]] = {}
    texts: dict[tuple[str, str], str] = {}
    anywhere: dict[str, str] = {}
    contradicted: set[tuple[str, str]] = set()
    for each in searches:
        known = queries.get(each.query_id)
        if None not in (known, each.query) and known != each.query:
            raise InvalidRequestError(
                f"{each.place}: query {each.query_id!r} was {known!r:.80} before, and is "
                f"{each.query!r:.80} here; give different queries different ids"
            )
        queries[each.query_id] = each.query if known is None else known
        rankings.setdefault(each.query_id, []).extend(_rankings(each))
        for name, text in _texts(each).items():
            key = (each.query_id, name)
            if texts.setdefault(key, text) != text:
                contradicted.add(key)
            anywhere.setdefault(name, text)
    wanted = [
        (query_id, name)
        for query_id, own in rankings.items()
        for name in shuffled(query_id, union(own, depth), seed)
    ]
    pairs = [_pair(key, queries, texts, anywhere) for key in wanted]
    if not pairs:
        raise InvalidRequestError("there are no candidates to label in the files given")
    return Pool(pairs, len(contradicted.intersection(wanted)))


def _rankings(search: Recorded) -> Iterator[list[str]]:
    """Ids of documents, best first, for each ranker: the first stage, and a reranker if any.

    The reranker's order is by its ranks, or else its scores; what it dropped has neither.
    """
    yield list(dict.fromkeys(each.id for each in search.candidates))
    for places in (
        [(each.rank, each.id) for each in search.candidates],
        [
            (None if each.rank_score is None else -each.rank_score, each.id)
            for each in search.candidates
        ],
    ):
        placed = [(place, name) for place, name in places if place is not None]
        if placed:
            yield list(dict.fromkeys(name for _, name in sorted(placed, key=lambda each: each[0])))
            return


def _texts(search: Recorded) -> dict[str, str]:
    """Texts by document; where one is there twice, its first."""
    found: dict[str, str] = {}
    for each in search.candidates:
        if each.text is not None:
            found.setdefault(each.id, each.text)
    return found


def _pair(
    key: tuple[str, str],
    queries: Mapping[str, str | None],
    texts: Mapping[tuple[str, str], str],
    anywhere: Mapping[str, str],
) -> Pair:
    query_id, name = key
    query = queries[query_id]
    document = texts.get(key, anywhere.get(name))
    for what, text in ((f"query {query_id!r}", query), (f"document {name!r}", document)):
        if text is None:
            raise InvalidRequestError(
                f"{what} has no text in the files given, and can't be shown. Record texts too, or "
                "add a file that has them"
            )
    assert query is not None
    assert document is not None
    return Pair(query_id, name, query, document)
