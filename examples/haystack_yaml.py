"""Save a Haystack pipeline with a reranker as YAML, load it again, and get the same answers.

BM25 finds 40 paragraphs of the Python language reference, resift keeps 2, and a prompt is built of
them, ready for a generator. The YAML has resift's options and no weights: whoever loads it has the
model in the package, or finds it by its name. An in-memory store keeps its documents for this
process alone, under the name of its index; a store on a server is found again from anywhere.

    pip install resift resift-haystack
    python examples/haystack_yaml.py [FILE.yaml]

prints, with Python 3.11's documentation:

    loaded: resift-small, top_k=2, normalization=sigmoid
    does a loop have an else: the same
      0.93 break: It terminates the nearest enclosing loop, skipping the optional ...
      0.78 compound: A "break" statement executed in the first suite terminates ...
    when is a default parameter value evaluated: the same
      0.98 compound: **Default parameter values are evaluated from left to right ...
      ...
"""

from __future__ import annotations

import sys
from pathlib import Path
from pydoc_data.topics import topics
from tempfile import mkdtemp
from typing import Any

from haystack import Document, Pipeline
from haystack.components.builders import PromptBuilder
from haystack.components.retrievers.in_memory import InMemoryBM25Retriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack_integrations.components.rankers.resift import ResiftRanker

QUESTIONS = (
    "does a loop have an else",
    "when is a default parameter value evaluated",
)
TEMPLATE = """{% for document in documents %}{{ document.content }}
{% endfor %}Question: {{ question }}"""


def filled_store() -> InMemoryDocumentStore:
    """The language reference that comes with Python, by paragraphs."""
    paragraphs: dict[str, str] = {}
    for topic, text in topics.items():
        for paragraph in text.split("\n\n"):
            content = " ".join(paragraph.split())
            if len(content) > 80:
                paragraphs.setdefault(content, topic)
    store = InMemoryDocumentStore(index="python-reference")
    store.write_documents(
        [Document(content=text, meta={"topic": topic}) for text, topic in paragraphs.items()]
    )
    return store


def pipeline_over(store: InMemoryDocumentStore) -> Pipeline:
    """A retriever, the ranker, and a prompt."""
    pipeline = Pipeline()
    pipeline.add_component("retriever", InMemoryBM25Retriever(store, top_k=40))
    pipeline.add_component("ranker", ResiftRanker(top_k=2, normalization="sigmoid"))
    pipeline.add_component("prompt", PromptBuilder(TEMPLATE, required_variables="*"))
    pipeline.connect("retriever.documents", "ranker.documents")
    pipeline.connect("ranker.documents", "prompt.documents")
    return pipeline


def asked(pipeline: Pipeline, question: str) -> dict[str, Any]:
    """What the pipeline makes of a question: the ranked documents, and the prompt."""
    inputs = {
        "retriever": {"query": question},
        "ranker": {"query": question},
        "prompt": {"question": question},
    }
    return pipeline.run(inputs, include_outputs_from={"ranker"})


def main() -> int:
    """Ask both pipelines; 1 where their answers differ."""
    path = Path(sys.argv[1] if sys.argv[1:] else Path(mkdtemp(), "pipeline.yaml"))
    pipeline = pipeline_over(filled_store())
    path.write_text(pipeline.dumps(), encoding="utf-8")
    loaded = Pipeline.loads(path.read_text(encoding="utf-8"))
    ranker = loaded.get_component("ranker")
    assert isinstance(ranker, ResiftRanker)
    print(f"loaded: {ranker.model}, top_k={ranker.top_k}, normalization={ranker.normalization}")
    same = True
    for question in QUESTIONS:
        before, after = asked(pipeline, question), asked(loaded, question)
        same &= before == after
        print(f"{question}: {'the same' if before == after else 'DIFFERENT'}")
        for document in after["ranker"]["documents"]:
            print(f"  {document.score:.2f} {document.meta['topic']}: {document.content[:80]}")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
