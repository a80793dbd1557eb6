"""LanceDB through LlamaIndex, in a folder.

pip install -r examples/stores/requirements/lancedb.txt
cd examples && python -m stores.lancedb
"""

from __future__ import annotations

import tempfile

from llama_index.core import Settings, StorageContext, VectorStoreIndex
from llama_index.core.llms import MockLLM
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import ResponseMode
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.resift import ResiftRerank
from llama_index.vector_stores.lancedb import LanceDBVectorStore

from stores.embedding_llama_index import BgeSmall
from stores.trial import CANDIDATES, KEPT, Trial


def ingest(passages: dict[str, str], folder: str) -> VectorStoreIndex:
    """Put passages and their vectors into a table."""
    nodes = [TextNode(id_=name, text=text) for name, text in passages.items()]
    store = LanceDBVectorStore(uri=folder, table_name="python")
    context = StorageContext.from_defaults(vector_store=store)
    return VectorStoreIndex(nodes, storage_context=context, embed_model=BgeSmall())


def names(nodes: list[NodeWithScore]) -> list[str]:
    """The passages' names."""
    return [each.node.node_id for each in nodes]


def main() -> None:
    """Try it."""
    # The passages are the answer here. With a language model, leave this and NO_TEXT out.
    Settings.llm = MockLLM()
    with tempfile.TemporaryDirectory() as folder:
        trial = Trial("LanceDB")
        retriever = ingest(trial.passages, folder).as_retriever(similarity_top_k=CANDIDATES)
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
