"""Defects of first stages, rankers and collections, each found by a function of its own."""
