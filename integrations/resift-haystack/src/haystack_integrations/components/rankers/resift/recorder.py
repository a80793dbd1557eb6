"""``ResiftRecorder``: a component that records the documents that pass through it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from haystack import Document, component, default_from_dict, default_to_dict
from haystack.utils import Secret
from haystack_integrations.components.rankers.resift.options import check_secret

from resift.recording import Candidate, Recorder


@component
class ResiftRecorder:
    """
    Records each query with the documents that a retriever found, for `resift evaluate`.

    Connect the retriever's documents to it; they come out as they are. Where there is a ranker,
    connect its documents to `ranked`: then each document's place and score there are recorded too,
    and the ranked documents come out.

    ### Usage example

    ```python
    from haystack import Document
    from haystack_integrations.components.rankers.resift import ResiftRecorder

    recorder = ResiftRecorder("traffic.jsonl", rate=0.01)
    documents = [Document(content="The museum is closed on Mondays.", score=0.7)]
    documents = recorder.run(query="opening hours", documents=documents)["documents"]
    ```

    A run fails for no reason of recording: `resift.recording.Recorder` counts what couldn't be
    written in `recorder.failed`, and logs the first time.
    """

    def __init__(
        self,
        path: str,
        *,
        rate: float = 1.0,
        text: bool = False,
        hash_ids: bool = True,
        salt: Secret | None = None,
        max_bytes: int | None = 100_000_000,
        keep: int = 5,
        model: str | None = None,
    ) -> None:
        """
        Creates a recorder; writes nothing yet.

        :param path:
            The file of JSON lines, in a folder that exists.
        :param rate:
            The share of different queries to record, 0 to 1. The same query is always in or out.
        :param text:
            Whether to write the texts of queries and documents.
        :param hash_ids:
            Whether to hash documents' ids.
        :param salt:
            The key of all hashes, of at least 16 characters. `None` makes one, and keeps it beside
            the file.
        :param max_bytes:
            The size beyond which the file is put aside and a new one begun; `None` for no bound.
        :param keep:
            How many files put aside are kept, from 1.
        :param model:
            The ranker's model, to be written on each line with ranked documents.

        :raises resift.InvalidRequestError:
            A `ValueError`: an option is invalid.
        """
        if salt is not None:
            check_secret("salt", salt, "RESIFT_SALT")
        self.recorder = Recorder(
            path,
            rate=rate,
            text=text,
            hash_ids=hash_ids,
            salt=None if salt is None else salt.resolve_value(),
            max_bytes=max_bytes,
            keep=keep,
        )
        self.salt = salt
        self.model = model

    def to_dict(self) -> dict[str, Any]:
        """
        Serializes the component to a dictionary.

        :returns:
            Dictionary with serialized data.
        :raises ValueError:
            If `salt` isn't from environment variables: Haystack saves no others.
        """
        made = self.recorder
        return default_to_dict(
            self,
            path=str(made.path),
            rate=made.rate,
            text=made.text,
            hash_ids=made.hash_ids,
            salt=None if self.salt is None else self.salt.to_dict(),
            max_bytes=made.max_bytes,
            keep=made.keep,
            model=self.model,
        )

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> ResiftRecorder:
        """
        Deserializes the component from a dictionary.

        :param data:
            Dictionary to deserialize from.
        :returns:
            Deserialized component.
        """
        return default_from_dict(cls, data)

    @component.output_types(documents=list[Document])
    def run(
        self, query: str, documents: list[Document], ranked: list[Document] | None = None
    ) -> dict[str, list[Document]]:
        """
        Records the documents of a query, and passes them on.

        :param query:
            The query.
        :param documents:
            What the retriever found, in its order.
        :param ranked:
            What the ranker kept of them, in its order; they are told apart by their `id`.

        :returns:
            A dictionary with the key `documents`: `ranked` where it is given, else `documents`.
        """
        model = None if ranked is None else self.model
        self.recorder.record_candidates(query, _candidates(documents, ranked or ()), model=model)
        return {"documents": documents if ranked is None else ranked}


def _candidates(documents: Sequence[Document], ranked: Sequence[Document]) -> Iterator[Candidate]:
    found = {each.id: (n, each.score) for n, each in enumerate(ranked, start=1)}
    for document in documents:
        rank, score = found.get(document.id, (None, None))
        yield Candidate(
            id=document.id,
            text=document.content,
            score=document.score,
            rank=rank,
            rank_score=score,
        )
