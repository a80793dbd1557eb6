"""DuckDB's full text search through LangChain, behind a retriever of one's own: no vectors.

    pip install -r examples/stores/requirements/duckdb.txt
    cd examples && python -m stores.duckdb

The extension comes from a wheel, so that nothing is downloaded. With a network, `INSTALL fts` and
`LOAD fts` do the same.
"""

from __future__ import annotations

from importlib.resources import files

import duckdb
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_resift import ResiftReranker
from pydantic import ConfigDict

from stores.trial import CANDIDATES, KEPT, Trial

SEARCH = """
    SELECT name, text FROM (
        SELECT name, text, fts_main_passages.match_bm25(name, ?) AS score FROM passages
    ) WHERE score IS NOT NULL ORDER BY score DESC, name LIMIT ?
"""


class DuckDBRetriever(BaseRetriever):
    """The passages that BM25 finds."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    connection: duckdb.DuckDBPyConnection
    k: int = CANDIDATES

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
    ) -> list[Document]:
        rows = self.connection.execute(SEARCH, [query, self.k]).fetchall()
        return [Document(text, metadata={"name": name}) for name, text in rows]


def ingest(passages: dict[str, str]) -> duckdb.DuckDBPyConnection:
    """Put passages into a table with an index of their words; give a path for ``:memory:``."""
    connection = duckdb.connect(":memory:")
    folder = files("duckdb_extension_fts") / f"extensions/v{duckdb.__version__}"
    connection.load_extension(str(folder / "fts.duckdb_extension"))
    connection.execute("CREATE TABLE passages (name VARCHAR PRIMARY KEY, text VARCHAR)")
    connection.executemany("INSERT INTO passages VALUES (?, ?)", [*passages.items()])
    connection.execute("PRAGMA create_fts_index('passages', 'name', 'text')")
    return connection


def names(documents: list[Document]) -> list[str]:
    """The passages' names."""
    return [each.metadata["name"] for each in documents]


def main() -> None:
    """Try it."""
    trial = Trial("DuckDB full text")
    retriever = DuckDBRetriever(connection=ingest(trial.passages))
    chain = ContextualCompressionRetriever(
        base_compressor=ResiftReranker(reranker=trial.reranker, top_n=KEPT),
        base_retriever=retriever,
    )
    trial.run(
        search=lambda question: names(retriever.invoke(question)),
        answer=lambda question: names(chain.invoke(question)),
    )


if __name__ == "__main__":
    main()
