"""Every surface takes a calibration by its name, saves it, and refuses it for another model."""

from __future__ import annotations

import json
import pickle
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from haystack import Document as HaystackDocument
from haystack_integrations.components.rankers.resift import ResiftRanker
from langchain_core.documents import Document
from langchain_resift import ResiftCrossEncoder, ResiftReranker
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.resift import ResiftRerank
from model_calibrations.contents import TEXTS

from resift import Calibration, InvalidRequestError, ModelCalibration, Reranker
from resift.cli.main import main
from resift.server.config import Config


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
