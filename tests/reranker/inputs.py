"""Documents whose logits are known by hand."""

from __future__ import annotations

DOCUMENTS = ["bad", "good", "a b", "good bad", "a"]
