"""See where the time of a LlamaIndex query engine goes, as a tree with resift's phases in it.

`ResiftRerank` has a span for each phase, and sends a `RerankTimingEvent` with counts. BM25 finds 40
paragraphs of the Python language reference, and resift keeps 3. The engine returns those without
asking a language model (`context_only`); with your `llm`, its spans are in the tree, too.

    pip install resift llama-index-postprocessor-resift bm25s
    python examples/llamaindex_timings.py

prints, with other times elsewhere, and other texts from other versions of Python:

    resift-small: 40 pairs, 3435 tokens, complete
    RetrieverQueryEngine.query                       1603.4 ms
      RetrieverQueryEngine._query                    1603.2 ms
        Bm25Retriever.retrieve                          0.9 ms
          Bm25Retriever._retrieve                       0.7 ms
        ResiftRerank._postprocess_nodes              1589.5 ms
          ResiftRerank.load                           808.4 ms
          ResiftRerank.tokenize                        30.6 ms
          ResiftRerank.infer                          727.9 ms
          ResiftRerank.rank                             0.5 ms
        ContextOnly.synthesize                          0.2 ms
          ContextOnly.get_response                      0.0 ms
"""

from __future__ import annotations

import time
from pydoc_data.topics import topics
from typing import Any

import bm25s
from llama_index.core import Settings, get_response_synthesizer
from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span import BaseSpan
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.retrievers import BaseRetriever
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.postprocessor.resift import RerankTimingEvent, ResiftRerank


class Bm25Retriever(BaseRetriever):
    """BM25 in memory; in real life, your index's `as_retriever(similarity_top_k=40)`."""

    def __init__(self, texts: list[str]) -> None:
        super().__init__()
        self._texts, self._index = texts, bm25s.BM25()
        self._index.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)

    def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
        query = bm25s.tokenize([query_bundle.query_str], show_progress=False)
        (places,), _ = self._index.retrieve(query, k=40, show_progress=False)
        return [NodeWithScore(node=TextNode(text=self._texts[place])) for place in places]


class Span(BaseSpan):
    """A piece of work; seconds on a monotonic clock."""

    start: float
    end: float = 0.0


class Tree(BaseSpanHandler[Span]):
    """Keeps the spans, and prints them below each other."""

    def new_span(self, id_: str, *_: Any, **more: Any) -> Span:
        """Begin a span."""
        return Span(id_=id_, parent_id=more.get("parent_span_id"), start=time.perf_counter())

    def prepare_to_exit_span(self, id_: str, *_: Any, **_more: Any) -> Span:
        """End a span."""
        span = self.open_spans[id_]
        span.end = time.perf_counter()
        self.completed_spans.append(span)
        return span

    prepare_to_drop_span = prepare_to_exit_span

    def show(self, parent: str | None = None, depth: int = 0) -> None:
        """Print the spans within one, in the order in which they began."""
        within = [span for span in self.completed_spans if span.parent_id == parent]
        for span in sorted(within, key=lambda span: span.start):
            name, milliseconds = span.id_.partition("-")[0], (span.end - span.start) * 1000
            print(f"{'  ' * depth + name:46} {milliseconds:8.1f} ms")
            self.show(span.id_, depth + 1)


class Counts(BaseEventHandler):
    """Prints what resift counted."""

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """Take the event of a reranking."""
        if isinstance(event, RerankTimingEvent):
            print(f"{event.model}: {event.pairs} pairs, {event.tokens} tokens, {event.status}")


def main() -> None:
    """Ask a question, and print the tree."""
    paragraphs = {" ".join(p.split()) for text in topics.values() for p in text.split("\n\n")}
    Settings.llm = MockLLM()
    engine = RetrieverQueryEngine.from_args(
        Bm25Retriever(sorted(text for text in paragraphs if len(text) > 80)),
        node_postprocessors=[ResiftRerank(top_n=3)],
        response_synthesizer=get_response_synthesizer(response_mode=ResponseMode.CONTEXT_ONLY),
    )
    tree = Tree()
    get_dispatcher().add_span_handler(tree)
    get_dispatcher().add_event_handler(Counts())
    engine.query("does a loop have an else")
    tree.show()


if __name__ == "__main__":
    main()
