"""Chroma through LlamaIndex, in memory.

    pip install -r examples/stores/requirements/chroma.txt
    cd examples && python -m stores.chroma

For a folder, take `chromadb.PersistentClient(path)`; for a server, `chromadb.HttpClient(host)`.
"""

from __future__ import annotations

import chromadb
from chromadb.config import Settings as ChromaSettings
from llama_index.core import Settings, StorageContext, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.resift import ResiftRerank
from llama_index.vector_stores.chroma import ChromaVectorStore

from stores.embedding_llama_index import BgeSmall
from stores.trial import CANDIDATES, KEPT, Trial


def ingest(passages: dict[str, str]) -> VectorStoreIndex:
    """Put passages and their vectors into a collection."""
    nodes = [TextNode(id_=name, text=text) for name, text in passages.items()]
    settings = ChromaSettings(anonymized_telemetry=False)
    collection = chromadb.EphemeralClient(settings).create_collection("python")
    store = ChromaVectorStore(chroma_collection=collection)
    context = StorageContext.from_defaults(vector_store=store)
    return VectorStoreIndex(nodes, storage_context=context, embed_model=BgeSmall())


def names(nodes: list[NodeWithScore]) -> list[str]:
    """The passages' names."""
    return [each.node.node_id for each in nodes]


def main() -> None:
    """Try it."""
    # The passages are the answer here. With a language model, leave this and NO_TEXT out.
    Settings.llm = MockLLM()
    trial = Trial("Chroma")
    retriever = ingest(trial.passages).as_retriever(similarity_top_k=CANDIDATES)
    engine = RetrieverQueryEngine.from_args(
        retriever,
        node_postprocessors=[ResiftRerank(reranker=trial.reranker, top_n=KEPT)],
        response_mode=ResponseMode.NO_TEXT,
    )
    trial.run(
        search=lambda question: names(retriever.retrieve(question)),
        answer=lambda question: names(engine.query(question).source_nodes),
    )


if __name__ == "__main__":
    main()
