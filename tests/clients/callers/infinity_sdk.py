"""infinity's own client."""

from __future__ import annotations

from callers.asked import Asked, Found
from infinity_client import AuthenticatedClient
from infinity_client.api.default import rerank
from infinity_client.models import RerankInput


def plain(asked: Asked) -> Found:
    """Rank at the server's root."""
    return _rerank(asked, "")


def prefixed(asked: Asked) -> Found:
    """Rank under the name of the protocol."""
    return _rerank(asked, "/infinity")


def _rerank(asked: Asked, path: str) -> Found:
    with AuthenticatedClient(base_url=asked.url + path, token=asked.key) as client:
        given = {} if asked.top_n is None else {"top_n": asked.top_n}
        body = RerankInput(
            query=asked.query,
            documents=asked.documents,
            return_documents=asked.return_documents,
            **given,
        )
        answer = rerank.sync_detailed(client=client, body=body)
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.status_code}: {answer.content.decode()}")
    return [
        (x.index, x.relevance_score, x.document if isinstance(x.document, str) else None)
        for x in answer.parsed.results
    ]
