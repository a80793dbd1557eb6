"""sqlite-vec through LangChain: vectors in SQLite, behind a retriever of one's own.

    pip install -r examples/stores/requirements/sqlite-vec.txt
    cd examples && python -m stores.sqlite_vec

LangChain's own class for it is in a package that isn't maintained any more.
"""

from __future__ import annotations

# Python's own sqlite3 will do where it was built to load extensions; many aren't.
import pysqlite3 as sqlite3
import sqlite_vec
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_resift import ResiftReranker
from pydantic import ConfigDict

from stores import embedding
from stores.trial import CANDIDATES, KEPT, Trial

SEARCH = """
    SELECT name, text FROM passages JOIN vectors USING (rowid)
    WHERE vector MATCH ? AND k = ? ORDER BY distance
"""


class SqliteVecRetriever(BaseRetriever):
    """The passages nearest to a question."""

    model_config = ConfigDict(arbitrary_types_allowed=True)
    connection: sqlite3.Connection
    k: int = CANDIDATES

    def _get_relevant_documents(
        self,
        query: str,
        *,
        run_manager: CallbackManagerForRetrieverRun,
    ) -> list[Document]:
        vector = sqlite_vec.serialize_float32(embedding.of_question(query))
        rows = self.connection.execute(SEARCH, (vector, self.k))
        return [Document(text, metadata={"name": name}) for name, text in rows]


def ingest(passages: dict[str, str]) -> sqlite3.Connection:
    """Put passages and their vectors into two tables; give a path in place of ``:memory:``."""
    connection = sqlite3.connect(":memory:")
    connection.enable_load_extension(True)
    sqlite_vec.load(connection)
    connection.enable_load_extension(False)
    connection.execute("CREATE TABLE passages (rowid INTEGER PRIMARY KEY, name TEXT, text TEXT)")
    connection.execute(
        f"CREATE VIRTUAL TABLE vectors USING vec0 (vector float[{embedding.DIMENSION}])"
    )
    vectors = embedding.of_documents(passages.values())
    for row, ((name, text), vector) in enumerate(zip(passages.items(), vectors, strict=True)):
        connection.execute("INSERT INTO passages VALUES (?, ?, ?)", (row, name, text))
        packed = sqlite_vec.serialize_float32(vector)
        connection.execute("INSERT INTO vectors (rowid, vector) VALUES (?, ?)", (row, packed))
    connection.commit()
    return connection


def names(documents: list[Document]) -> list[str]:
    """The passages' names."""
    return [each.metadata["name"] for each in documents]


def main() -> None:
    """Try it."""
    trial = Trial("sqlite-vec")
    retriever = SqliteVecRetriever(connection=ingest(trial.passages))
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
