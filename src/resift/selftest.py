"""A loaded model against its golden pairs: does it compute here what its maker measured?"""

from __future__ import annotations

import numpy as np

from resift.errors import UnsupportedModelError
from resift.loading import LoadedModel
from resift.options import RankOptions
from resift.request import Request
from resift.tokenization import Pair

# The shortest ones: enough to show a processor that lacks an instruction, in a few milliseconds.
_PAIRS = 4


def check_golden(model: LoadedModel) -> None:
    """Pass a model that has no golden pairs, or gives their logits.

    Raises ``UnsupportedModelError`` where a logit is further off than the golden tolerance.

    NaN and infinity pass: rankings have an error of their own for them.
    """
    golden = model.golden
    if golden is None:
        return
    shortest = sorted(golden.pairs, key=lambda pair: len(pair.query) + len(pair.document))
    for golden_pair in shortest[:_PAIRS]:
        request = Request.check(golden_pair.query, [golden_pair.document])
        tokenized = model.tokenize(request, RankOptions())
        (window,) = tokenized.documents[0].windows
        (logits,) = model.logits([[Pair(tokenized.query, window)]])
        found = float(logits[0])
        if np.isfinite(found) and abs(found - golden_pair.logit) > golden.tolerance:
            raise UnsupportedModelError(
                f"{model.files.name} in {model.precision} doesn't compute on this machine what its "
                f"golden pairs say: {found:.5f} instead of {golden_pair.logit:.5f} (within "
                f"{golden.tolerance}) for {golden_pair.query!r} and {golden_pair.document!r}. "
                "Either a file is damaged, or this processor lacks instructions that the precision "
                "needs: install the model again, or choose another precision"
            )
