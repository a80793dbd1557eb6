"""The self-test of a loaded model: do its logits equal those that its author measured?"""

from __future__ import annotations

import numpy as np

from resift.errors import SelfTestError
from resift.loading.model import LoadedModel
from resift.options import RankOptions
from resift.request import Request
from resift.text.batch import Pair

# The shortest golden pairs: enough to show that a processor lacks an instruction, in a few
# milliseconds.
_PAIRS = 4
# The most that computing in fewer bits than the weights have may move a logit, as a share of the
# largest golden logit or of 1. Several times what was measured: this finds faults, not rounding.
_ROUNDING = {"bf16": 0.05, "fp16": 0.01}


def check_golden(model: LoadedModel, pairs: int | None = _PAIRS) -> None:
    """Pass a model that reproduces its golden logits, or has none; else raise ``SelfTestError``.

    Of the golden ones, so many ``pairs`` are computed, the shortest, or all for ``None``. NaN and
    infinity pass: ranking raises another error for them.
    """
    golden = model.files.golden(model.way.artifact)
    if golden is None:
        return
    scale = max([1.0, *(abs(pair.logit) for pair in golden.pairs)])
    tolerance = max(golden.tolerance, _ROUNDING.get(model.way.precision, 0) * scale)
    shortest = sorted(golden.pairs, key=lambda pair: len(pair.query) + len(pair.document))
    for golden_pair in shortest[:pairs]:
        found = logit_of(model, golden_pair.query, golden_pair.document)
        if np.isfinite(found) and abs(found - golden_pair.logit) > tolerance:
            raise SelfTestError(
                f"{model.files.name} in {model.way.precision} on {model.way.backend} doesn't "
                f"compute the logits of its golden pairs on this machine: {found:.5f}; expected "
                f"{golden_pair.logit:.5f} (within {tolerance:g}) for {golden_pair.query!r} and "
                f"{golden_pair.document!r}. Either a file is damaged, or this processor lacks "
                "instructions that the precision needs: install the model again, or choose "
                "another precision"
            )


def logit_of(model: LoadedModel, query: str, document: str) -> float:
    """The logit of a pair, in a forward pass of its own."""
    tokenized = model.reader.tokenize(Request.of(query, [document]), RankOptions())
    (window,) = tokenized.texts[0].windows
    return float(model.forward([Pair(tokenized.query, window)])[0])
