"""The server: one process that the clients of other rerankers can talk to."""
