"""Configurations of a server: what a file may say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from server.config.text import Read

from resift import Calibration, InvalidRequestError
from resift.options import declared
from resift.prior import Prior
from resift.scoring import Margin
from resift.server.config import Config
from resift.server.recipes import OfCache, OfCascade, OfModel, OfServer

WHOLE = """\
[server]
port = 9000
threads = 2
memory_mb = 2048
strict_models = true

[limits]
max_queue_pairs = 500

[options]
max_length = 256
precision = "fp32"
normalization = { slope = 2, intercept = -1.5 }

[models.nano]
model = "resift-nano"
precision = "int8"

[models.small]
model = "resift-small"
aliases = ["rerank-v3.5", "BAAI/bge-reranker-v2-m3"]
default = true
preload = true
prune = "auto"
[models.small.prior]
place_weight = 0.2
score_weight = 1

[models.far]
remote = "https://api.example.com"
protocol = "cohere"
model = "rerank-v3.5"
timeout = 5
limits = { documents = 100 }
extra = { priority = 5 }
normalization = "none"

[models.both]
cascade = ["nano", "far", "small"]
keep = [30, { margin = 2 }]

[models.safe]
fallback = ["far", "both"]

[models."kept, always"]
cached = "safe"
max_bytes = 1000
folder = "logits"
"""


def test_a_file_says_everything(read: Read) -> None:
    config = read(WHOLE)
    assert (config.settings.port, config.settings.host) == (9000, "127.0.0.1")
    assert (config.settings.threads, config.settings.memory_mb) == (2, 2048)
    assert config.settings.strict_models
    assert config.limits.max_queue_pairs == 500
    models = {each.name: each for each in config.models}
    assert [(name, each.kind) for name, each in models.items()] == [
        ("nano", "local"),
        ("small", "local"),
        ("far", "remote"),
        ("both", "cascade"),
        ("safe", "fallback"),
        ("kept, always", "cached"),
    ]
    nano, small, far, both, safe, kept = models.values()
    assert [each.default for each in models.values()] == [False, True, *[False] * 4]
    assert small.aliases == ("rerank-v3.5", "BAAI/bge-reranker-v2-m3")
    assert (small.preload, nano.preload) == (True, False)
    assert isinstance(nano.recipe, OfModel)
    assert isinstance(small.recipe, OfModel)
    assert (nano.recipe.options.precision, small.recipe.options.precision) == ("int8", "fp32")
    assert (small.options.prune, nano.options.prune) == ("auto", None)
    assert small.options.prior == Prior(place_weight=0.2, score_weight=1.0)
    assert {each.options.max_length for each in models.values()} == {256}
    assert both.options.normalization == Calibration(slope=2, intercept=-1.5)
    assert far.options.normalization == "none"
    assert isinstance(far.recipe, OfServer)
    assert far.recipe.url == "https://api.example.com"
    assert (far.recipe.keywords["model"], far.recipe.keywords["timeout"]) == ("rerank-v3.5", 5)
    assert far.recipe.keywords["limits"].documents == 100
    assert far.recipe.keywords["extra"] == {"priority": 5}
    assert isinstance(both.recipe, OfCascade)
    assert (both.recipe.parts, both.recipe.keep) == (("nano", "far", "small"), (30, Margin(2)))
    assert safe.recipe.parts == ("far", "both")
    assert isinstance(kept.recipe, OfCache)
    assert kept.recipe.parts == ("safe",)
    assert kept.recipe.keywords == {"max_bytes": 1000, "folder": "logits"}


def test_the_first_model_is_the_default(read: Read) -> None:
    config = read('[models.b]\nmodel = "resift-nano"\n[models.a]\nmodel = "resift-small"\n')
    assert [(each.name, each.default) for each in config.models] == [("b", True), ("a", False)]


def test_without_models_it_is_the_usual_one(read: Read) -> None:
    (only,) = read('[options]\nprecision = "fp32"\nprune = "auto"\n').models
    assert (only.name, only.default, only.options.prune) == ("resift-small", True, "auto")
    assert isinstance(only.recipe, OfModel)
    assert only.recipe.options.precision == "fp32"
    assert read("").models == Config.of().models


def test_one_model_without_a_file() -> None:
    config = Config.of(model="resift-nano", threads=2, max_queue_pairs=7, max_length=64)
    (only,) = config.models
    assert (only.name, only.kind, only.default, only.preload) == (
        "resift-nano", "local", True, True,
    )  # fmt: skip
    assert (config.settings.threads, config.limits.max_queue_pairs) == (2, 7)
    assert isinstance(only.recipe, OfModel)
    assert only.recipe.options.threads is None
    assert only.options.max_length == 64
    with pytest.raises(TypeError, match="topn"):
        Config.of(topn=3)
    for name, wrong in (("max_length", 0), ("backend", "abacus")):
        with pytest.raises(InvalidRequestError, match=name):
            Config.of(**{name: wrong})


def test_a_folder_is_named_by_its_last_part(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (only,) = Config.of(model=tmp_path / "mine").models
    assert only.name == "mine"


def test_every_option_of_a_model_can_be_given(read: Read) -> None:
    values: dict[str, Any] = {"revision": "main", "device": "cpu", "cache_dir": "x", "prior": 0.5}
    values |= {"score_threshold": 0.5, "deadline_ms": 100.0, "offline": True, "backend": "onnx"}
    values |= {"on_error": "first_stage", "long_documents": "windows", "normalization": "none"}
    values |= {"prune": "off", "precision": "fp32", "max_length": 9, "max_documents": 9}
    values |= {
        "max_batch_tokens": 9,
        "max_document_tokens": 9,
        "trust_remote_code": False,
        "model": "resift-nano",
    }
    # One in place of device; of a call alone; shared; functions and secrets.
    others = {"devices", "top_n", "threads", "max_queue_pairs", "max_queue_tokens"}
    assert values.keys() | others | {"token", "on_timing"} == declared().keys()
    lines = [f"{name} = {json.dumps(each)}" for name, each in values.items()]
    (entry,) = read("\n".join(["[models.a]", *lines])).models
    assert isinstance(entry.recipe, OfModel)
    for name, each in values.items():
        holder = entry.recipe.options if hasattr(entry.recipe.options, name) else entry.options
        assert getattr(holder, name) == each, name
