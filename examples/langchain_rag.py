"""Answer questions from the Python language reference with a LangChain chain, and name the sources.

BM25 finds 40 paragraphs, resift keeps the best 4, and the last link answers. That link is
extractive: it takes the sentence of those paragraphs that resift scores highest, word for word, so
it needs no language model and invents nothing. In its place goes `prompt | your_chat_model`, with
`{context}` and `{question}` in the prompt. The sources are printed; * is the answer's.

    pip install resift langchain-resift bm25s
    python examples/langchain_rag.py

prints, with Python 3.11's documentation:

    what happens if an exception is raised in a finally clause
      If there is a saved exception it is re-raised at the end of the "finally" clause.
      * 0.97 compound, paragraph ...
        0.93 ...
        0.92 raise, paragraph 12
    ...
    when is a default parameter value evaluated
      **Default parameter values are evaluated from left to right when the function definition ...
      * 0.98 compound, paragraph ...
    ...
    how do I make an object usable in a with statement
      The "with" statement will bind this method’s return value to the target(s) specified in ...
      * 0.80 context-managers, paragraph 6
    ...
"""

from __future__ import annotations

import re
import sys
from pydoc_data.topics import topics
from typing import Any

import bm25s
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableLambda, RunnablePassthrough
from langchain_resift import ResiftReranker

from resift import Reranker

QUESTIONS = (
    "what happens if an exception is raised in a finally clause",
    "when is a default parameter value evaluated",
    "how do I make an object usable in a with statement",
)


def paragraphs() -> list[Document]:
    """The language reference that comes with Python, by paragraphs."""
    found: dict[str, Document] = {}
    for topic, text in topics.items():
        for number, paragraph in enumerate(text.split("\n\n"), start=1):
            content = " ".join(paragraph.split())
            if len(content) > 80:
                source = f"{topic}, paragraph {number}"
                found.setdefault(content, Document(content, metadata={"source": source}))
    return list(found.values())


class Bm25Retriever(BaseRetriever):
    """BM25 in memory. In real life: your vector store's `as_retriever(search_kwargs={"k": 40})`."""

    documents: list[Document]
    k: int = 40
    index: Any = None

    def model_post_init(self, context: Any) -> None:
        """Index the documents."""
        super().model_post_init(context)
        texts = [document.page_content for document in self.documents]
        self.index = bm25s.BM25()
        self.index.index(bm25s.tokenize(texts, show_progress=False), show_progress=False)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[Document]:
        tokens = bm25s.tokenize([query], show_progress=False)
        (places,), _ = self.index.retrieve(tokens, k=self.k, show_progress=False)
        return [self.documents[place] for place in places]


def main() -> None:
    """Ask each question."""
    reranker = Reranker()
    retriever = Bm25Retriever(documents=paragraphs())
    compressor = ResiftReranker(reranker=reranker, top_n=4)

    def rerank(asked: dict[str, Any]) -> list[Document]:
        return list(compressor.compress_documents(asked["found"], asked["question"]))

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        sentences = [
            (sentence, document)
            for document in asked["context"]
            for sentence in re.split(r"(?<=[.:!?])\s+", document.page_content)
        ]
        best = reranker.rank(asked["question"], [sentence for sentence, _ in sentences], top_n=1)[0]
        sentence, document = sentences[best.index]
        return {**asked, "answer": sentence, "source": document.metadata["source"]}

    chain = (
        {"question": RunnablePassthrough(), "found": retriever}
        | RunnablePassthrough.assign(context=RunnableLambda(rerank))
        | answer
    )
    for question in sys.argv[1:] or QUESTIONS:
        answered = chain.invoke(question)
        print(f"{question}\n  {answered['answer']}")
        for document in answered["context"]:
            source, score = (document.metadata[key] for key in ("source", "relevance_score"))
            print(f"  {'*' if source == answered['source'] else ' '} {score:.2f} {source}")


if __name__ == "__main__":
    main()
