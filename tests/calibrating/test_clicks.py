"""``resift calibrate`` with clicks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from calibrating.lines import DOCUMENTS, Lines, read, run, without, write


def clicks_on(lines: Lines, *, moved: bool) -> Lines:
    rng = np.random.default_rng(0)
    found = []
    for line in lines:
        for _ in range(8):
            order = rng.permutation(DOCUMENTS) if moved else np.arange(DOCUMENTS)
            for rank, at in enumerate(order.tolist(), start=1):
                each = line["candidates"][at]
                found.append(
                    {
                        "query_id": line["query_id"], "document_id": each["id"], "rank": rank,
                        "clicked": bool(each["grade"] and rng.random() < 1 / rank),
                    }
                )  # fmt: skip
    return found


def test_clicks_are_weighed_by_rank(lines: Lines, tiny: Path, tmp_path: Path) -> None:
    shown = write(tmp_path / "shown.jsonl", without(lines, "grade"))
    clicks = write(tmp_path / "clicks.jsonl", clicks_on(lines, moved=True))
    out = tmp_path / "c.json"
    found = {}
    for how in ("equal", "inverse-rank", "estimate", "1,0.5,0.333,0.25,0.2,0.167"):
        given = (shown, "--clicks", clicks, "--propensities", how, "--kind", "platt")
        assert run(*given, "--model", tiny, "--out", out) == 0
        content = read(out)
        found[how] = content["intercept"]
        assert content["fitted"]["labels"].startswith("clicks, ")
        assert "what was clicked among what was shown" in content["report"]["notes"][0]
    assert found["equal"] < -1.6
    for how in ("inverse-rank", "estimate", "1,0.5,0.333,0.25,0.2,0.167"):
        assert found[how] == pytest.approx(-1, abs=0.45)


def test_clicks_that_say_nothing_are_refused(
    lines: Lines, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = write(tmp_path / "shown.jsonl", without(lines, "grade"))
    still = clicks_on(lines, moved=False)
    cases: list[tuple[Lines, str, str]] = [
        (still, "estimate", "propensities can't be estimated"),
        ([{**each, "clicked": False} for each in still], "equal", "0 of 2880 documents"),
        (still, "1,0.5", "no propensity for rank 3"),
        (still, "1,2", "above 0, up to 1"),
        (still, "soon", "propensities must be 'equal'"),
        ([{**each, "clicked": each["rank"] > 1} for each in still], "inverse-rank", "more than"),
        ([{**still[0], "document_id": "x"}, *still], "equal", "document 'x' of query 'q0-0'"),
        ([{**still[0], "rank": 0}], "equal", "clicks.jsonl:1: 'rank' must be a whole number"),
        ([{**still[0], "clicked": "yes"}], "equal", "clicks.jsonl:1: 'clicked' must be true"),
    ]  # fmt: skip
    for given, how, message in cases:
        clicks = write(tmp_path / "clicks.jsonl", given)
        arguments = (shown, "--clicks", clicks, "--propensities", how, "--model", tiny)
        assert run(*arguments, "--out", tmp_path / "never.json") == 2
        assert message in capsys.readouterr().err
    assert not (tmp_path / "never.json").exists()
