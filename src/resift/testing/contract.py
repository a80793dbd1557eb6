"""All rows together, for the engine and for adapters alike."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from resift import InvalidRequestError
from resift.loading import opening
from resift.loading.model import LoadedModel
from resift.options import LoadOptions
from resift.testing.calls import CallRows
from resift.testing.inputs import InputRows
from resift.testing.scores import ScoreRows
from resift.testing.texts import QUERY, TEXTS


class RankingContract(InputRows, ScoreRows, CallRows):
    """Every row of the contract that can be tested from outside.

    Subclasses override the five methods and the attributes of ``Subject``.
    """

    @pytest.fixture(autouse=True)
    def _models_are_loaded_once(
        self, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        # Loading takes longer than most rows.
        if request.node.originalname != "test_ranking_opens_no_connection":
            monkeypatch.setattr(opening, "load_model", _load_once)


class CallOptionsContract(RankingContract):
    """The contract, with a row for subjects that take options in calls too."""

    def test_call_time_options_take_precedence(self) -> None:
        kept = self.rank(QUERY, TEXTS, {"top_n": 2}, top_n=4)
        assert len(kept) == 2
        everything = self.rank(QUERY, TEXTS, {"score_threshold": 0.0}, score_threshold=1.0)
        assert len(everything) == (self.default_top_n or len(TEXTS))
        with pytest.raises(InvalidRequestError, match="top_n"):
            self.rank(QUERY, TEXTS, {"top_n": 0}, top_n=4)


def _load_once(options: LoadOptions) -> LoadedModel:
    return _loaded(replace(options, on_timing=None, max_batch_tokens=None))


_loaded = cache(opening.load_model)
