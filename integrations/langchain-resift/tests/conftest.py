"""Documents, and a retriever that finds them all."""

from __future__ import annotations

import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever


class Shelf(BaseRetriever):
    """Finds everything it has."""

    documents: list[Document]

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        return self.documents


@pytest.fixture
def documents() -> list[Document]:
    texts = {
        "danube": "The Danube is the second-longest river in Europe, after the Volga.",
        "sort": "Use sorted with a key function to sort a dictionary by value.",
        "bread": "Bread rises because yeast turns sugar into carbon dioxide.",
        "museum": "The museum is closed on Mondays.",
    }
    return [
        Document(text, id=name, metadata={"name": name, "nested": {"pages": [1, 2]}})
        for name, text in texts.items()
    ]


@pytest.fixture
def shelf(documents: list[Document]) -> BaseRetriever:
    return Shelf(documents=documents)
