"""Files of calibrations: isotonic steps, and what is refused by its name and key."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from model_calibrations.contents import content_of, save

from resift import Calibration, InvalidRequestError, Reranker

ISOTONIC = {"kind": "isotonic", "slope": 1.0, "intercept": 0.0}


def test_isotonic_scores_make_ties_and_the_logit_orders(tiny: Path) -> None:
    content = content_of(tiny, **ISOTONIC, steps=[[-5.0, 0.1], [1.0, 0.6]], shift=0.0)
    kept = {name: content[name] for name in content if name not in ("format", "fitted", "report")}
    ranking = Reranker(tiny, normalization=kept).rank("a", ["w1", "w9", "good"])  # type: ignore[arg-type]
    assert [each.score for each in ranking] == pytest.approx([0.6, 0.1, 0.1])
    assert [each.index for each in ranking] == [2, 1, 0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": None}, "'format' must be 1, not None"),
        ({"format": 2}, "'format' is 2.*update resift"),
        ({"kind": "beta"}, r"'kind' of a calibration must be one of \['temperature'"),
        ({"slope": 0}, "'slope' of a calibration must be above 0"),
        ({"slope": "2"}, "'slope' of a calibration must be a finite number, not '2'"),
        ({"intercept": float("nan")}, "'intercept' of a calibration must be a finite number"),
        ({"kind": "temperature"}, "'intercept' of a calibration must be 0 for a temperature"),
        ({"shift": None}, "'shift' of a calibration must be a finite number, not None"),
        ({"steps": [[0, 0.5]]}, "'steps' of a calibration must be empty for 'platt'"),
        ({**ISOTONIC, "steps": []}, "'steps' of a calibration must be pairs"),
        ({**ISOTONIC, "steps": [[0, 1]]}, "'steps' of a calibration must be chances between 0"),
        ({**ISOTONIC, "steps": [[0, 0.5], [1, 0.4]]}, "'steps' of a calibration must be .* rise"),
        ({"model": ""}, "'model' of a calibration must be a name"),
        ({"digest": 7}, "'digest' of a calibration must be a str or null, not 7"),
        ({"prior": {"place_weight": 1}}, "'prior' of a calibration must be null, or finite"),
    ],
)
def test_a_malformed_file_is_named_with_its_key(
    changes: dict[str, Any], message: str, tiny: Path, cache: Path
) -> None:
    name = save(cache, content_of(tiny, **changes))
    with pytest.raises(InvalidRequestError, match=message) as raised:
        Reranker(tiny, normalization=name)
    assert "search.json" in str(raised.value)


def test_a_file_without_a_key_or_without_json_is_named(tiny: Path, cache: Path) -> None:
    content = content_of(tiny)
    for key in ("kind", "model"):
        name = save(cache, {k: x for k, x in content.items() if k != key})
        with pytest.raises(InvalidRequestError, match=rf"search\.json: .*needs '{key}'"):
            Reranker(tiny, normalization=name)
    # What a later version adds is no matter.
    assert Calibration.load(save(cache, {**content, "later": 1})).slope == 2.0
    path = cache / "calibrations/search.json"
    for text in ("{", "[]", "\ud83d"):
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        with pytest.raises(InvalidRequestError, match=r"search\.json"):
            Calibration.load("search")
    with pytest.raises(InvalidRequestError, match="there is no calibration 'nothing'"):
        Calibration.load("nothing")
    with pytest.raises(InvalidRequestError, match="has no 'extra'"):
        Reranker(tiny, normalization={"kind": "platt", "model": "m", "extra": 1})  # type: ignore[arg-type]
