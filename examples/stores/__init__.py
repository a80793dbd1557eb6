"""Real stores, from ingest to reranked answer: see README.md."""
