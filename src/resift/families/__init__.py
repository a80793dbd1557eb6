"""Families of models: how each formats a pair and reads a logit, one table line for each."""

from resift.families.protocol import Family
from resift.families.table import FAMILIES, find_family

__all__ = ["FAMILIES", "Family", "find_family"]
