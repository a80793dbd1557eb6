"""The table ``[ray]``: what it says, and what is refused, with its line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from resift import InvalidRequestError
from resift.cli.main import main
from resift.serving import ActorPool, Actors, Config, Server, error_response

MODELS = """\
[models.small]
model = "resift-small"
[models.nano]
model = "resift-nano"
[models.both]
cascade = ["nano", "small"]
keep = [3]
[models.kept]
cached = "small"
"""


def read(folder: Path, text: str) -> Config:
    path = folder / "resift.toml"
    path.write_text(MODELS + text, encoding="utf-8")
    return Config.read(path)


def test_the_front_and_the_pools_are_read(tmp_path: Path) -> None:
    text = (
        "[ray]\nmax_replicas = 8\nnum_cpus = 2\n"
        '[ray.pools.large]\nmodels = ["kept"]\nreplicas = 2\nnum_gpus = 1\n'
        "resources = { fast = 1 }\n"
    )
    ray = read(tmp_path, text).ray
    assert ray.front == Actors(max_replicas=8, num_cpus=2)
    large = ActorPool(models=("kept",), replicas=2, num_gpus=1.0, resources={"fast": 1.0})
    assert ray.pools == {"large": large}
    assert ray.pool_of == {"kept": "large"}


def test_without_a_table_there_is_one_actor(tmp_path: Path) -> None:
    assert read(tmp_path, "").ray.front == Actors()
    path = tmp_path / "one.toml"
    path.write_text("[ray]\nnum_cpus = 3\n", encoding="utf-8")
    assert Config.read(path).ray.front.num_cpus == 3


def test_a_pool_gets_its_models_and_what_they_are_made_of(tmp_path: Path) -> None:
    config = read(tmp_path, '[record]\nfile = "traffic.jsonl"\n[ray.pools.p]\nmodels = ["kept"]\n')
    pool = config.of_pool("p")
    assert [(x.name, x.default, x.preload) for x in pool.models] == [
        ("kept", True, True),
        ("small", False, True),
    ]
    assert pool.settings.require_keys is False
    assert pool.record.file is None


# Lines are counted after those of MODELS.
WRONG = [
    ("[ray]\nnum_cpu = 2\n", 2, "num_cpu isn't known; did you mean 'num_cpus'"),
    ("[ray]\nnum_cpus = 0\n", 2, "num_cpus must be an int of at least 1"),
    ("[ray]\nnum_cpus = 1.5\n", 2, "ray.num_cpus must be an integer"),
    ("[ray]\nreplicas = 2\nmax_replicas = 3\n", 2, "replicas=2 is always as many"),
    ("[ray]\nnum_cpus = 1\nmin_replicas = 3\n", 3, "needs a max_replicas of at least as many"),
    ("[ray]\nmin_replicas = 3\nmax_replicas = 2\n", 2, "not 2"),
    ("[ray]\nmax_ongoing_requests = 4\n", 2, "must not be above max_ongoing_requests=4"),
    ("[ray]\nresources = { fast = 0 }\n", 2, "resources.fast must be a finite number above 0"),
    ("[ray]\nresources = 3\n", 2, "ray.resources must be a table"),
    ("[ray.pools.p]\nreplicas = 2\n", 1, "models must name a model at least"),
    ("[ray.pools.p]\nmodels = []\n", 2, "models must name a model at least"),
    ('[ray.pools.p]\nmodels = ["smal"]\n', 2, "no model 'smal'; did you mean 'small'"),
    ('[ray.pools.p]\nmodels = ["both"]\n', 2, "'both' is a cascade model"),
    (
        '[ray.pools.a]\nmodels = ["nano"]\n[ray.pools.b]\nmodels = ["nano"]\n',
        4,
        "'nano' is in the pool 'a' already",
    ),
    ('[ray.pools.p]\nmodels = ["small"]\n', 2, "'small' is cached by 'kept'"),
]


@pytest.mark.parametrize(("text", "line", "message"), WRONG)
def test_mistakes_are_refused_with_their_line(
    text: str, line: int, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidRequestError) as caught:
        read(tmp_path, text)
    place = f"{tmp_path / 'resift.toml'}:{MODELS.count(chr(10)) + line}: "
    assert str(caught.value).startswith(place)
    assert message in str(caught.value)


def test_a_process_is_healthy_by_its_own_models_alone(tmp_path: Path) -> None:
    config = read(tmp_path, "")
    both = [model for model in config.models if model.name == "both"]
    assert both
    server = Server.of(config, {"small": Server.of(config).models.find("nano").scorer})
    # The default is elsewhere.
    assert server.own.names == []
    assert server.models.find("both").needs == ["nano"]
    assert Server.of(config).own.names == ["small"]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/rerank", {"error": "no room", "error_type": "Overloaded"}),
        ("/v1/rerank", {"detail": "no room", "message": "no room"}),
        ("/elsewhere", {"error": "no room"}),
    ],
)
def test_errors_of_what_is_before_the_server_have_its_shapes(
    path: str, expected: dict[str, str]
) -> None:
    import json

    response = error_response(path, 429, "no room", 1.5)
    assert (response.status_code, response.headers["retry-after"]) == (429, "2")
    assert json.loads(bytes(response.body)).items() >= expected.items()


def test_ray_is_asked_for_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "resift_ray", None)
    monkeypatch.setitem(sys.modules, "resift_ray.serve", None)
    assert main(["serve", "--ray"]) != 0
    assert "pip install resift-ray" in capsys.readouterr().err
