"""Evaluation of first stages and rerankers on people's own data."""
