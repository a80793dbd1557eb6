"""Texts, and scores of a first stage, for tests of priors."""

from __future__ import annotations

from hypothesis import strategies as st

# Their logits differ little: see tiny_models.
TEXTS = ["w1", "w3", "w2", "w3", "w9"]
finite = st.floats(-3, 3, width=32)
