"""The server: rerankers behind HTTP, in the shapes that existing clients speak."""
