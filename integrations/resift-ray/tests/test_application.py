"""Applications before any cluster: what is made of a configuration, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

pytest.importorskip("ray")

import httpx
from ray.serve.schema import ServeDeploySchema
from resift_ray import serve as on_ray
from resift_ray.proxy import HERE, VARIABLE, middlewares
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from resift import InvalidRequestError
from resift.cli import main as cli
from resift.serving import Config

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
POOLS = """
[server]
shutdown_seconds = 12
[models.small]
model = "resift-small"
[models.nano]
model = "resift-nano"
[models.both]
cascade = ["nano", "small"]
keep = [3]
[ray]
min_replicas = 2
max_replicas = 5
target_ongoing_requests = 4
num_cpus = 3
max_ongoing_requests = 7
max_queued_requests = 9
[ray.pools.large]
models = ["small"]
replicas = 2
num_gpus = 0.5
resources = { fast = 1 }
"""


def deployments(application: Any) -> dict[str, Any]:
    """The deployments of an application, by name."""
    found, waiting = {}, [application]
    while waiting:
        deployment = waiting.pop()._bound_deployment
        found[deployment.name] = deployment
        given = [*deployment.init_args, *deployment.init_kwargs.values()]
        given += [each for part in given if isinstance(part, dict) for each in part.values()]
        waiting += [each for each in given if hasattr(each, "_bound_deployment")]
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "resift.toml"
    path.write_text(POOLS, encoding="utf-8")
    return path


def test_the_table_is_what_ray_gets(file: Path) -> None:
    made = deployments(on_ray.app(file))
    assert made.keys() == {"front", "pool-large"}
    front, pool = made["front"], made["pool-large"]
    scaling = front._deployment_config.autoscaling_config
    assert (scaling.min_replicas, scaling.max_replicas) == (2, 5)
    assert scaling.target_ongoing_requests == 4
    assert (front.max_ongoing_requests, front.max_queued_requests) == (7, 9)
    assert pool.num_replicas == 2
    actor = pool.ray_actor_options
    assert (actor["num_cpus"], actor["num_gpus"], actor["resources"]) == (1, 0.5, {"fast": 1})
    for each, cpus in ((front, "3"), (pool, "1")):
        assert set(each.ray_actor_options["runtime_env"]["env_vars"].values()) == {cpus}
        assert each.init_args[0].settings.threads == int(cpus)
        config = each._deployment_config
        assert config.graceful_shutdown_timeout_s == 12
        assert config.backpressure_config.status_code == 429


def test_a_pool_has_its_models_alone(file: Path) -> None:
    made = deployments(on_ray.app(Config.read(file)))
    (only,) = made["pool-large"].init_args[0].models
    assert (only.name, only.default, only.preload) == ("small", True, True)
    assert [each.name for each in made["front"].init_args[0].models] == ["small", "nano", "both"]
    assert made["front"].init_args[1].keys() == {"small"}


def test_a_deployed_application_needs_keys_unless_it_says_that_it_does_not(file: Path) -> None:
    def required() -> Any:
        made = deployments(on_ray.build({"config": str(file)}))
        return made["front"].init_args[0].settings.require_keys

    assert required() is True
    open_to_all = POOLS.replace("[server]", "[server]\nrequire_keys = false")
    file.write_text(open_to_all, encoding="utf-8")
    assert required() is False


@pytest.mark.parametrize("arguments", [{}, {"config": 3}, {"config": "a.toml", "models": 1}])
def test_other_arguments_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequestError, match="config: PATH"):
        on_ray.build(arguments)


def test_what_serve_deploy_takes_is_valid() -> None:
    text = (DEPLOY / "ray-serve.yaml").read_text(encoding="utf-8")
    config = ServeDeploySchema.model_validate(yaml.safe_load(text))
    (application,) = config.applications
    module, _, name = application.import_path.partition(":")
    assert getattr(on_ray, name) is on_ray.build
    assert module == on_ray.__name__
    assert application.args.keys() == {"config"}


def test_the_manifest_of_kuberay_is_of_one_piece() -> None:
    parts = list(yaml.safe_load_all((DEPLOY / "ray-service.yaml").read_text(encoding="utf-8")))
    by_kind = {each["kind"]: each for each in parts}
    service, settings = by_kind["RayService"], by_kind["ConfigMap"]
    config = ServeDeploySchema.model_validate(yaml.safe_load(service["spec"]["serveConfigV2"]))
    (application,) = config.applications
    path = Path(application.args["config"])
    cluster = service["spec"]["rayClusterConfig"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    for group in groups:
        pod = group["template"]["spec"]
        (container,) = pod["containers"]
        mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
        volumes = {each["name"]: each for each in pod["volumes"]}
        mounted = volumes[mounts[str(path.parent)]]["configMap"]
        assert mounted["name"] == settings["metadata"]["name"]
        variables = {each["name"]: each for each in container["env"]}
        assert variables[VARIABLE]["value"] == HERE
        assert variables["RAY_USAGE_STATS_ENABLED"]["value"] == "0"
        assert "secretKeyRef" in variables["RESIFT_API_KEYS"]["valueFrom"]
        assert "RAY_SERVE_ENABLE_HA_PROXY" not in variables
    assert settings["data"].keys() == {path.name}


def test_the_manifests_configuration_is_read(tmp_path: Path) -> None:
    parts = yaml.safe_load_all((DEPLOY / "ray-service.yaml").read_text(encoding="utf-8"))
    (text,) = next(each for each in parts if each["kind"] == "ConfigMap")["data"].values()
    path = tmp_path / "resift.toml"
    path.write_text(text, encoding="utf-8")
    assert "pool-large" in deployments(on_ray.app(path))


def test_haproxy_is_off() -> None:
    from ray.serve._private.constants import RAY_SERVE_ENABLE_HA_PROXY

    assert RAY_SERVE_ENABLE_HA_PROXY is False


def test_the_port_must_be_known() -> None:
    assert cli.main(["serve", "--ray", "--port", "0"]) != 0


def says(status: int, text: str, after: str = "") -> Any:
    headers = {"retry-after": after} if after else {}

    async def answer(_request: Any) -> Any:
        return PlainTextResponse(text, status, headers)

    return answer


async def silent(scope: Any, receive: Any, send: Any) -> None:
    """What Ray does where an actor died."""


PATHS = ["/rerank", "/v1/rank", "/vllm/rerank", "/-/healthz"]


@pytest.mark.asyncio
@pytest.mark.parametrize("path", PATHS)
async def test_what_rays_proxy_says_is_in_the_clients_words(path: str) -> None:
    for status, after in ((429, "2"), (503, ""), (408, "")):
        routes = [Route(path, says(status, "no room", after), methods=["POST"])]
        app = Starlette(routes=routes, middleware=middlewares())
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=app), base_url="http://ray"
        ) as client:
            answer = await client.post(path)
        assert answer.status_code == status
        assert answer.headers.get("retry-after", "") == after
        if path.startswith("/-/"):
            assert answer.text == "no room"
            continue
        error = answer.json()["error"]
        assert error["message" if path == "/vllm/rerank" else slice(None)] == "no room"


@pytest.mark.asyncio
async def test_no_request_is_left_without_an_answer() -> None:
    (middleware,) = middlewares()
    app = middleware.cls(silent)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://ray"
    ) as client:
        answer = await client.post("/v1/rerank")
    assert answer.status_code == 500
    assert "send it again" in json.loads(answer.text)["detail"]
