"""``ResiftRecorder``: a callback that records what retrievers find, and how it was ranked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from langchain_core.documents import Document
from langchain_core.tracers import BaseTracer, Run

from resift import InvalidRequestError, Ranking
from resift.adapter import check_text
from resift.recording import Recorder


class ResiftRecorder(BaseTracer):
    """Records each query with the documents that were found for it, for ``resift evaluate``.

    A callback for any runnable: ``chain.invoke(…, {"callbacks": [ResiftRecorder(recorder)]})``.
    Where ``ResiftReranker`` ranks, the documents that it was given are recorded with their places,
    scores and logits; otherwise those that a retriever returns, so it works before there is a
    reranker. The lines of a run are written when the outermost run around it ends.

    ``recorder``: a ``resift.recording.Recorder``. ``retriever``: the name of the runs whose
    documents to record, such as ``"VectorStoreRetriever"``; ``None`` takes the outermost retriever
    that no ``ResiftReranker`` is in, or comes after. ``first_stage_score_field``: the name of the
    metadata that has the retriever's score.

    Raises ``InvalidRequestError`` for an invalid option; recording raises nothing.
    """

    def __init__(
        self,
        recorder: Recorder,
        *,
        retriever: str | None = None,
        first_stage_score_field: str | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(recorder, Recorder):
            raise InvalidRequestError(
                f"recorder must be a resift.recording.Recorder, not {recorder!r}"
            )
        self.recorder = recorder
        self._retriever = check_text("retriever", retriever)
        self._field = check_text("first_stage_score_field", first_stage_score_field)

    def _persist_run(self, run: Run) -> None:
        found = list(_found(run, self._retriever))
        ranked = {each.query for each in found if each.ranking is not None}
        for each in found:
            if each.ranking is not None or each.query not in ranked:
                self._record(each)

    def _record(self, found: _Found) -> None:
        name, documents = self._field, found.documents
        self.recorder.record(
            found.query,
            (each.page_content for each in documents),
            ids=(each.id for each in documents),
            first_stage_scores=(each.metadata.get(name) for each in documents) if name else None,
            ranking=found.ranking,
        )


class _Found(NamedTuple):
    query: str
    documents: Sequence[Document]
    ranking: Ranking | None = None


def _found(run: Run, retriever: str | None) -> Iterator[_Found]:
    """Find what was found and ranked in a run and those within it."""
    within = [each for child in run.child_runs for each in _found(child, retriever)]
    outputs: dict[str, Any] = run.outputs or {}
    ranking = outputs.get("output")
    if isinstance(ranking, Ranking) and "documents" in run.inputs:
        yield _Found(run.inputs["query"], run.inputs["documents"], ranking)
        return
    wanted = run.name == retriever if retriever else not any(each.ranking for each in within)
    if run.run_type == "retriever" and wanted and "documents" in outputs:
        within = [each for each in within if each.ranking is not None]
        yield _Found(run.inputs["query"], outputs["documents"])
    yield from within
