"""Families of models: how each formats a pair and reads a logit, one table line for each."""

from resift.families.protocol import Family
from resift.families.sequence_classification import SequenceClassification
from resift.families.table import FAMILIES
from resift.text.prompt import Prompt

__all__ = ["FAMILIES", "Family", "Prompt", "SequenceClassification"]
