"""Measures of how good rankings are."""
