"""Devices and tokens as Haystack has them, and the ranker's attributes."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
from haystack import Document, Pipeline, component
from haystack.utils import ComponentDevice, Device, DeviceMap, Secret
from haystack_integrations.components.rankers.resift import ResiftRanker
from haystack_integrations.components.rankers.resift.options import device_name

from resift import InvalidRequestError, Reranker
from resift.given import resolved
from resift.testing import QUERY, TEXTS


def saved(ranker: ResiftRanker) -> Any:
    pipeline = Pipeline()
    pipeline.add_component("ranker", ranker)
    return Pipeline.loads(pipeline.dumps()).get_component("ranker")


@pytest.mark.parametrize("device", ["cpu", ComponentDevice.from_str("cpu")], ids=["str", "device"])
def test_a_device_is_taken_and_saved(device: Any) -> None:
    ranker = ResiftRanker(device=device)
    assert ranker.device == "cpu"
    assert ranker.reranker.options["device"] == "cpu"
    for again in (ResiftRanker.from_dict(ranker.to_dict()), saved(ranker)):
        assert again.device == "cpu"
        assert again.to_dict() == ranker.to_dict()
    assert ranker.run(QUERY, [Document(content=TEXTS[0])])["documents"]


def test_the_device_of_another_rankers_dictionary_is_taken() -> None:
    data = ResiftRanker().to_dict()
    data["init_parameters"]["device"] = ComponentDevice.from_str("cpu").to_dict()
    assert ResiftRanker.from_dict(data).device == "cpu"


def test_no_device_is_the_backends_own() -> None:
    ranker = ResiftRanker(device=None, token=None, reranker=Reranker())
    assert ranker.device is None
    assert "device" not in ranker.to_dict()["init_parameters"]


def test_a_gpu_has_the_name_that_the_engine_knows() -> None:
    # A ranker on it needs torch; its name doesn't.
    assert device_name(ComponentDevice.from_single(Device.gpu(1))) == "cuda:1"


def test_several_devices_are_refused_by_name() -> None:
    both = DeviceMap({"a": Device.cpu(), "b": Device.gpu(0)})
    with pytest.raises(InvalidRequestError, match=r"device must be a single device.*devices="):
        ResiftRanker(device=ComponentDevice.from_multiple(both))


@pytest.mark.parametrize("wrong", [5, ["cpu"], Device.cpu(), ""], ids=repr)
def test_an_invalid_device_is_refused(wrong: Any) -> None:
    with pytest.raises(InvalidRequestError, match="device must be"):
        ResiftRanker(device=wrong)


def test_a_token_from_the_environment_is_saved_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANKER_TOKEN", raising=False)
    # It need not be there where pipelines are made and saved, nor for a bundled model.
    ranker = ResiftRanker(token=Secret.from_env_var("RANKER_TOKEN"))
    assert ranker.run(QUERY, [Document(content=TEXTS[0])])["documents"]
    parameters = ranker.to_dict()["init_parameters"]
    assert parameters["token"] == {"type": "env_var", "env_vars": ["RANKER_TOKEN"], "strict": True}
    monkeypatch.setenv("RANKER_TOKEN", "hf_unseen")
    for again in (ranker, ResiftRanker.from_dict(ranker.to_dict()), saved(ranker)):
        assert again.token == Secret.from_env_var("RANKER_TOKEN")
        assert resolved(again.reranker._load_options.token) == "hf_unseen"
        assert "hf_unseen" not in repr(again.to_dict())
        assert b"hf_unseen" not in pickle.dumps(again)


def test_a_token_itself_is_not_saved() -> None:
    ranker = ResiftRanker(token=Secret.from_token("hf_unseen"))
    with pytest.raises(ValueError, match="Cannot serialize token-based secret") as caught:
        ranker.to_dict()
    assert "hf_unseen" not in str(caught.value)
    assert b"hf_unseen" not in pickle.dumps(ranker)
    assert pickle.loads(pickle.dumps(ranker)).token is None
    assert copy.deepcopy(ranker).token is ranker.token


def test_a_token_that_is_no_secret_is_refused() -> None:
    wrong: Any = "hf_unseen"
    with pytest.raises(InvalidRequestError, match="Secret") as caught:
        ResiftRanker(token=wrong)
    assert "hf_unseen" not in str(caught.value)


def test_a_reranker_and_a_device_or_token_exclude_each_other() -> None:
    for options in ({"device": "cpu"}, {"token": Secret.from_token("hf")}):
        given: Any = options
        with pytest.raises(InvalidRequestError, match=next(iter(options))):
            ResiftRanker(reranker=Reranker(), **given)


def test_assignments_are_saved() -> None:
    ranker = ResiftRanker()
    ranker.top_k = 2
    ranker.metadata_fields = ["title"]
    ranker.reranker = Reranker("resift-nano")
    again = saved(ranker)
    assert (again.top_k, again.metadata_fields, again.model) == (2, ("title",), "resift-nano")


def test_assigning_top_n_is_refused() -> None:
    with pytest.raises(InvalidRequestError, match="top_k"):
        ResiftRanker().top_n = 1  # type: ignore[attr-defined]


def test_components_made_of_it_may_have_options_of_their_own() -> None:
    @component
    class Labelled(ResiftRanker):
        def __init__(self, label: str, **options: Any) -> None:
            # Not super(): Haystack's decorator makes another class of this one.
            ResiftRanker.__init__(self, **options)
            self.label = label

    ranker = Labelled(label="mine", top_k=2)
    documents = [Document(content=text) for text in TEXTS]
    assert len(ranker.run(QUERY, documents)["documents"]) == 2
    ranker.label = "other"
    ranker.top_k = 1
    assert len(ranker.run(QUERY, documents)["documents"]) == 1
    assert ranker.label == "other"
