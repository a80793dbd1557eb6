"""The fit of early exit, against what the package prunes."""

import numpy as np
import pytest

import early
from resift.scoring.cuts import survivors

rng = np.random.default_rng(0)
LOGITS = rng.normal(size=(40, 50)) * 2
ESTIMATES = LOGITS / 2 + rng.normal(size=LOGITS.shape)


@pytest.mark.parametrize("lost", [0.01, 0.05, 0.2])
def test_a_margins_losses_and_savings_are_those_reported(lost: float) -> None:
    fit = early.fit(ESTIMATES, LOGITS, lost)
    documents = range(LOGITS.shape[1])
    kept = np.array(
        [
            survivors(each.astype(np.float32), documents, early.TOP_N, fit.margin)
            for each in ESTIMATES
        ]
    )
    best = np.argsort(-LOGITS, axis=1)[:, : early.TOP_N]
    gone = 1 - np.take_along_axis(kept, best, axis=1).mean()
    assert gone == pytest.approx(fit.lost, abs=1e-4)
    assert fit.lost <= lost
    assert kept.mean() == pytest.approx(fit.kept, abs=1e-3)
    assert early.fit(ESTIMATES, LOGITS, lost * 3).margin < fit.margin


def test_estimates_as_good_as_the_logits_need_no_margin() -> None:
    assert early.fit(LOGITS / 3 + 1, LOGITS, 0.01).margin == 0
