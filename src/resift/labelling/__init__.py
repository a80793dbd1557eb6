"""Judging by people: pairs of a query and a document, shown one after the other."""
