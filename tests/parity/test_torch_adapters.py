"""Backend torch: through the adapters of each framework."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from parity.texts import DOCUMENTS, QUERY
from parity.torch_models import make_encoder


def test_langchain(tmp_path: Path, device: str) -> None:
    adapter = pytest.importorskip("langchain_resift")
    documents = pytest.importorskip("langchain_core.documents")
    expected = expected_order(tmp_path)
    compressor = adapter.ResiftReranker(model=tmp_path, backend="torch", device=device, top_n=5)
    given = [documents.Document(text, metadata={"n": n}) for n, text in enumerate(DOCUMENTS[:20])]
    found = compressor.compress_documents(given, QUERY)
    assert [document.metadata["n"] for document in found] == expected


def test_llamaindex(tmp_path: Path, device: str) -> None:
    adapter = pytest.importorskip("llama_index.postprocessor.resift")
    schema = pytest.importorskip("llama_index.core.schema")
    expected = expected_order(tmp_path)
    postprocessor = adapter.ResiftRerank(model=tmp_path, backend="torch", device=device, top_n=5)
    given = [
        schema.NodeWithScore(node=schema.TextNode(text=text, id_=str(n)))
        for n, text in enumerate(DOCUMENTS[:20])
    ]
    found = postprocessor.postprocess_nodes(given, query_str=QUERY)
    assert [int(node.node.node_id) for node in found] == expected


def test_haystack(tmp_path: Path, device: str) -> None:
    adapter = pytest.importorskip("haystack_integrations.components.rankers.resift")
    haystack = pytest.importorskip("haystack")
    expected = expected_order(tmp_path)
    ranker = adapter.ResiftRanker(model=str(tmp_path), backend="torch", device=device, top_k=5)
    given = [haystack.Document(content=text, id=str(n)) for n, text in enumerate(DOCUMENTS[:20])]
    found = ranker.run(query=QUERY, documents=given)["documents"]
    assert [int(document.id) for document in found] == expected


def expected_order(folder: Path) -> list[int]:
    """The best five of the first twenty documents, as transformers ranks them."""
    reference = make_encoder("bert", folder)
    order = np.argsort(-reference.logits(QUERY, DOCUMENTS[:20]), kind="stable")
    best: list[int] = order[:5].tolist()
    return best
