"""Models that a calibration belongs to: how they are known, and when they are asked."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tiny_models
from model_calibrations.contents import TEXTS, content_of
from numbers_scorer import Numbers

from resift import InvalidRequestError, Reranker
from resift.calibrating.fitting import bind
from resift.loading.identity import identity_of
from resift.loading.model import LoadedModel
from resift.scoring import Cached, Cascade, Fallback, local


def test_a_digest_does_not_depend_on_what_runs_the_model(tiny: Path, tmp_path: Path) -> None:
    first = bind(Reranker(tiny, threads=1, max_batch_tokens=64)).digest
    copied = tiny_models.build(tmp_path / "copy")
    assert bind(Reranker(copied)).digest == first
    (copied / "config.json").write_text(
        (copied / "config.json").read_text(encoding="utf-8").replace("bert", "bart"),
        encoding="utf-8",
    )
    assert tiny_models.build(tmp_path / "more", positions=64) and first is not None  # noqa: PT018
    assert bind(Reranker(tmp_path / "more")).digest != first


def test_a_bundled_models_digest_is_one_for_all_its_precisions() -> None:
    found = {bind(Reranker("resift-nano", precision=each)).digest for each in ("fp32", "int8")}
    assert len(found) == 1


def test_the_model_that_answers_counts_in_compounds(search: str, tiny: Path, other: Path) -> None:
    local, another = (Reranker(each)._scorer for each in (tiny, other))
    for scorer in (Cached(local), Cascade([another, local], keep=[1]), Fallback(local, another)):
        assert Reranker(scorer=scorer, normalization=search).rank("a", TEXTS)[0].score
    again = Cached(local)
    for _ in range(2):
        Reranker(scorer=again, normalization=search).rank("a", TEXTS)
    broken = Numbers(error=RuntimeError("down"))
    for scorer in (Cascade([local, another], keep=[1]), Fallback(broken, another)):
        with pytest.raises(InvalidRequestError, match="is another model"):
            Reranker(scorer=scorer, normalization=search).rank("a", TEXTS)


def test_a_scorer_without_identity_is_known_by_its_name_alone(tiny: Path) -> None:
    digest, named = content_of(tiny), content_of(tiny, model="numbers", digest=None)
    parts = ("format", "fitted", "report")
    by_digest, by_name = (
        {name: each for name, each in content.items() if name not in parts}
        for content in (digest, named)
    )
    for normalization, scorer, message in (
        (by_digest, Numbers(), "numbers has no digest that could tell"),
        (by_name, Numbers("another"), "by its name, and another scored"),
    ):
        with pytest.raises(InvalidRequestError, match=message):
            Reranker(scorer=scorer, normalization=normalization).rank("a", ["1"])  # type: ignore[arg-type]
    ranking = Reranker(scorer=Numbers(), normalization=by_name).rank("a", ["1"])  # type: ignore[arg-type]
    assert ranking[0].score == pytest.approx(1 / (1 + np.exp(-1.5)))
    # Without a document there is no score that could be wrong.
    assert len(Reranker(scorer=Numbers("x"), normalization=by_name).rank("a", [])) == 0  # type: ignore[arg-type]


def test_warming_up_makes_the_digest(
    search: str, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[LoadedModel] = []

    def identify(model: LoadedModel) -> str | None:
        asked.append(model)
        return identity_of(model)

    monkeypatch.setattr(local, "identity_of", identify)
    reranker = Reranker(tiny, normalization=search)
    reranker.warm_up()
    for _ in range(2):
        reranker.rank("a", TEXTS)
    assert len(asked) == 1
    plain = Reranker(tiny)
    plain.warm_up()
    plain.rank("a", TEXTS)
    assert len(asked) == 1
