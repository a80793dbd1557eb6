"""A calibration belongs to one model: read, saved, and refused for another on every surface."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_models
from haystack import Document as HaystackDocument
from haystack_integrations.components.rankers.resift import ResiftRanker
from langchain_core.documents import Document
from langchain_resift import ResiftCrossEncoder, ResiftReranker
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.resift import ResiftRerank
from numbers_scorer import Numbers

from resift import Calibration, InvalidRequestError, ModelCalibration, Reranker
from resift.calibrating.fitting import bind
from resift.cli.main import main
from resift.loading.identity import identity_of
from resift.loading.model import LoadedModel
from resift.scoring import Cached, Cascade, Fallback, local
from resift.server.config import Config

TEXTS = ["good", "bad"]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESIFT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another model than ``tiny``: one that has two labels."""
    return tiny_models.build(tmp_path_factory.mktemp("other"), labels=2)


def content_of(folder: Path, /, **changes: Any) -> dict[str, Any]:
    bound = bind(Reranker(folder, threads=1))
    values = {"format": 1, "kind": "platt", "slope": 2.0, "intercept": -1.0, "steps": [],
              "shift": 0.5, "model": bound.model, "digest": bound.digest, "name": "search",
              "prior": None, "fitted": {}, "report": {}}  # fmt: skip
    return {**values, **changes}


def save(folder: Path, content: dict[str, Any]) -> str:
    """Write a calibration into the cache, and return its name."""
    (folder / "calibrations").mkdir(parents=True, exist_ok=True)
    path = folder / "calibrations/search.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return "search"


@pytest.fixture
def search(tiny: Path, cache: Path) -> str:
    """The name of a calibration of ``tiny``."""
    return save(cache, content_of(tiny))


def langchain(model: Path, normalization: Any) -> float:
    subject = ResiftReranker(model=model, normalization=normalization)
    (found, _) = subject.compress_documents([Document(page_content=x) for x in TEXTS], "a")
    return float(found.metadata["relevance_score"])


def cross_encoder(model: Path, normalization: Any) -> float:
    return ResiftCrossEncoder(model=model, normalization=normalization).score([("a", "good")])[0]


def llama_index(model: Path, normalization: Any) -> float:
    nodes = [NodeWithScore(node=TextNode(text=text)) for text in TEXTS]
    subject = ResiftRerank(model=model, normalization=normalization)
    return float(subject.postprocess_nodes(nodes, query_str="a")[0].score or 0)


def haystack(model: Path, normalization: Any) -> float:
    subject = ResiftRanker(model=str(model), normalization=normalization)
    found = subject.run(query="a", documents=[HaystackDocument(content=x) for x in TEXTS])
    return float(found["documents"][0].score or 0)


def engine(model: Path, normalization: Any) -> float:
    return Reranker(model, normalization=normalization).rank("a", TEXTS)[0].score or 0


def at_call(model: Path, normalization: Any) -> float:
    return Reranker(model).score("a", TEXTS, normalization=normalization)[0]


def threaded(model: Path, normalization: Any) -> float:
    found: list[float] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            found.append(engine(model, normalization))
        except InvalidRequestError as error:
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return found[0]


SURFACES = [langchain, cross_encoder, llama_index, haystack, engine, at_call, threaded]


@pytest.mark.parametrize("surface", SURFACES)
def test_a_calibration_is_taken_by_name_and_refused_for_another_model(
    surface: Callable[[Path, Any], float], search: str, tiny: Path, other: Path, cache: Path
) -> None:
    logit = Reranker(tiny, normalization="none").score("a", ["good"])[0]
    expected = 1 / (1 + np.exp(-(2 * logit - 1 + 0.5)))
    file = cache / "calibrations/search.json"
    for given in (search, str(file), Calibration.load(search), Calibration.load(file).to_dict()):
        assert surface(tiny, given) == pytest.approx(expected)
    with pytest.raises(InvalidRequestError, match=r"'search' was fitted to .*is another model"):
        surface(other, search)


def test_the_command_line_takes_a_name(
    search: str, tiny: Path, other: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["rank", "--normalization", search, "a", "good"]
    assert main([*arguments, "--model", str(tiny)]) == 0
    assert main([*arguments, "--model", str(other)]) == 2
    assert "is another model" in capsys.readouterr().err
    assert main(["rank", "--normalization", "serch", "a", "good"]) == 2
    assert "which has ['search']; not 'serch'" in capsys.readouterr().err


def test_a_servers_configuration_takes_a_name(search: str, tiny: Path, tmp_path: Path) -> None:
    file = tmp_path / "server.toml"
    text = f'[models.small]\nmodel = "{tiny}"\nnormalization = "{search}"\n'
    file.write_text(text, encoding="utf-8")
    (entry,) = Config.read(file).models
    assert entry.options.normalization == Calibration.load(search)
    file.write_text(text.replace(search, "serch"), encoding="utf-8")
    with pytest.raises(InvalidRequestError, match=r"server\.toml:3.*serch"):
        Config.read(file)


def test_a_servers_client_names_no_files(search: str, tiny: Path, other: Path, cache: Path) -> None:
    httpx = pytest.importorskip("httpx")
    pytest.importorskip("starlette")
    from server.running import configured, serving

    from resift.server.app import Server

    def answers(model: Path, *normalizations: str) -> Iterator[tuple[int, str]]:
        with serving(Server.of(configured(model=str(model)))) as address:
            for each in normalizations:
                body = {"query": "a", "documents": TEXTS, "normalization": each}
                found = httpx.post(f"{address}/v1/rank", json=body, timeout=60)
                yield found.status_code, found.text

    paths = (str(cache / "calibrations/search.json"), "../search", "search.json")
    (status, _), *refused = answers(tiny, search, *paths)
    assert status == 200
    assert [(each, "not the path" in text) for each, text in refused] == [(422, True)] * 3
    ((status, text),) = answers(other, search)
    assert (status, "is another model" in text) == (422, True)


def test_what_is_saved_has_the_calibration_itself(search: str, tiny: Path, cache: Path) -> None:
    reranker = Reranker(tiny, normalization=search)
    saved = ResiftReranker(model=str(tiny), normalization=search).model_dump_json()
    component = ResiftRanker(model=str(tiny), normalization=search).to_dict()
    node = ResiftRerank(model=str(tiny), normalization=search).to_dict()
    expected = reranker.score("a", TEXTS)
    (cache / "calibrations/search.json").unlink()
    assert pickle.loads(pickle.dumps(reranker)).score("a", TEXTS) == expected
    assert Reranker(**json.loads(json.dumps(reranker.options))).score("a", TEXTS) == expected
    calibration = ResiftReranker(**json.loads(saved)).normalization
    assert isinstance(calibration, ModelCalibration)
    assert ResiftRanker.from_dict(json.loads(json.dumps(component))).normalization == calibration
    assert ResiftRerank.from_dict(json.loads(json.dumps(node))).normalization == calibration


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
