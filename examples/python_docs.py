"""Rerank the Python documentation that every installation carries, through three frameworks.

A first stage (BM25) finds candidates among the language reference and the docstrings of the
standard library; resift reorders the same candidates in LangChain, LlamaIndex and Haystack; the
three must agree to the last bit.

    python examples/python_docs.py
    python examples/python_docs.py "how do I flatten a list of lists"
"""

from __future__ import annotations

import sys
from textwrap import shorten

from haystack import Document as HaystackDocument
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.rankers.resift import ResiftRanker
from langchain_core.documents import Document as LangChainDocument
from langchain_resift import ResiftReranker
from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode
from llama_index.postprocessor.resift import ResiftRerank

from documentation import documentation
from resift import Reranker, TimingEvent

QUERIES = (
    "run a function later in another process",
    "how do I remember the results of a slow function",
    "what happens when two threads write to the same file",
    "make an object work in a with statement",
)
CANDIDATES, KEPT = 50, 5


def first_stage() -> InMemoryBM25Retriever:
    """BM25 over all passages, each text once."""
    passages = documentation()
    store = InMemoryDocumentStore()
    store.write_documents(
        [
            HaystackDocument(id=str(n), content=text, meta={"name": name})
            for n, (name, text) in enumerate(passages.items())
        ]
    )
    sys.stdout.write(
        f"{len(passages)} passages of Python {sys.version.split()[0]}'s documentation\n"
    )
    return InMemoryBM25Retriever(store, top_k=CANDIDATES)


class Demo:
    """One engine, shared by an adapter for each framework."""

    def __init__(self) -> None:
        self.events: list[TimingEvent] = []
        reranker = Reranker(on_timing=self.events.append)
        reranker.warm_up()
        self.langchain = ResiftReranker(reranker=reranker, top_n=KEPT)
        self.llama_index = ResiftRerank(reranker=reranker, top_n=KEPT)
        self.haystack = ResiftRanker(reranker=reranker, top_k=KEPT)

    def rank(self, query: str, found: list[HaystackDocument]) -> dict[str, list[tuple[str, float]]]:
        """Identifiers and scores, best first, from each framework."""
        documents = [LangChainDocument(id=d.id, page_content=d.content or "") for d in found]
        nodes = [NodeWithScore(node=TextNode(id_=d.id, text=d.content or "")) for d in found]
        compressed = self.langchain.compress_documents(documents, query)
        processed = self.llama_index.postprocess_nodes(nodes, QueryBundle(query))
        ranked = self.haystack.run(query=query, documents=found)["documents"]
        return {
            "LangChain": [(str(d.id), d.metadata["relevance_score"]) for d in compressed],
            "LlamaIndex": [(n.node.node_id, n.get_score()) for n in processed],
            "Haystack": [(d.id, d.score or 0.0) for d in ranked],
        }


def main() -> int:
    """Print before and after for each query; 1 where the frameworks disagree."""
    out = sys.stdout
    retriever, demo = first_stage(), Demo()
    agreed = True
    for query in sys.argv[1:] or QUERIES:
        found = retriever.run(query=query)["documents"]
        demo.events.clear()
        rankings = demo.rank(query, found)
        place = {document.id: n for n, document in enumerate(found, start=1)}
        names = {document.id: document.meta["name"] for document in found}
        out.write(f"\n{query!r}: {len(found)} candidates\n")
        out.write(f"  {'before: BM25':36}  {'after: resift':36}  was  score\n")
        ((_, first), *others) = rankings.items()
        for document, (identifier, score) in zip(found, first, strict=False):
            before = shorten(document.meta["name"], 36, placeholder="…")
            after = shorten(names[identifier], 36, placeholder="…")
            out.write(f"  {before:36}  {after:36}  {place[identifier]:>3}  {score:.3f}\n")
        for framework, event in zip(rankings, demo.events, strict=True):
            out.write(
                f"  {framework:10} {event.total * 1000:6.0f} ms: tokenize "
                f"{event.tokenize * 1000:.0f}, infer {event.infer * 1000:.0f}, rank "
                f"{event.rank * 1000:.1f}; {event.tokens} tokens, "
                f"{event.truncated_documents} documents truncated\n"
            )
        same = all(ranking == first for _, ranking in others)
        agreed &= same
        out.write(f"  the three frameworks {'agree' if same else 'DISAGREE'}\n")
    return 0 if agreed else 1


if __name__ == "__main__":
    sys.exit(main())
