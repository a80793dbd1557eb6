"""resift's server as an application of Ray Serve.

The routes are those of ``resift serve``, and so are the answers: the actors run its own ASGI
application. The table ``[ray]`` of the configuration says how many there are and what each has.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import ray
from ray import serve
from ray.serve.config import AutoscalingConfig, BackpressureConfig
from ray.serve.exceptions import RayServeException

from resift.errors import InvalidRequestError
from resift.serving import Actors, Config
from resift_ray.proxy import HERE, VARIABLE
from resift_ray.replicas import Front, Pooled

__all__ = ["app", "build", "run"]

NAME = "resift"
"""The application's name on a cluster."""

# Seconds between looks at actors' health. Three bad ones in a row end an actor.
_HEALTH_PERIOD, _HEALTH_TIMEOUT = 10.0, 30.0
# Seconds after which a refused client may come again.
_RETRY_AFTER = 1.0
# An actor whose models can't be loaded can't be started by trying again and again.
_STARTS = 3
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS")


def app(config: str | os.PathLike[str] | Config) -> Any:
    """Make the application of a configuration: ``serve.run`` takes it, or ``resift_ray.serve.run``.

    ``config`` is the path of the server's TOML, which is read here, or what ``Config.read`` gave.
    Returns Ray's ``Application``. Files that it names, such as models and keys, are read by the
    actors, and must be found on their nodes. Raises ``InvalidRequestError`` that names the line.
    """
    known = config if isinstance(config, Config) else Config.read(config)
    actors, pools = known.ray.front, known.ray.pools
    seconds = known.settings.shutdown_seconds
    handles = {}
    for name, pool in pools.items():
        deployment = _deployment(Pooled, f"pool-{name}", pool, seconds)
        made = deployment.bind(_with_threads(known.of_pool(name), pool), pool.max_ongoing_requests)
        handles.update(dict.fromkeys(pool.models, made))
    front = _deployment(serve.ingress()(Front), "front", actors, seconds)
    return front.bind(_with_threads(known, actors), handles)


def build(arguments: Mapping[str, Any]) -> Any:
    """Make the application from the ``args`` of a Serve configuration, as ``serve deploy`` does.

    ``arguments`` has ``config``, the path of the server's TOML on the head's node. As nothing here
    knows where the proxies listen, keys are required, unless that file has ``require_keys``.
    """
    unknown = sorted(arguments.keys() - {"config"})
    if unknown or not isinstance(arguments.get("config"), str):
        raise InvalidRequestError(
            f"args must be config: PATH, the path of a configuration, and nothing else; got "
            f"{sorted(arguments)}"
        )
    config = Config.read(arguments["config"])
    settings = config.settings
    if settings.require_keys is None:
        config = replace(config, settings=replace(settings, require_keys=True))
    return app(config)


def run(config: Config, address: str | None = None) -> None:
    """Serve on the cluster at ``address`` until SIGTERM or SIGINT; then let requests finish.

    ``address`` is what ``ray.init`` takes; ``None`` starts Ray on this machine, and ends it again.
    On a cluster, proxies that are there already keep their host and port. Raises
    ``InvalidRequestError`` where the application can't be started.
    """
    settings = config.settings
    if not settings.port:
        raise InvalidRequestError(
            "port=0 is any free one, and Ray's proxies need one that is known"
        )
    application = app(config)
    prefix = settings.url_prefix or "/"
    ended = threading.Event()
    # Proxies that are started here inherit it.
    os.environ.setdefault(VARIABLE, HERE)
    ray.init(address) if address else ray.init("local", include_dashboard=False)
    # After Ray has set its own, which would end it at once.
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: ended.set())
    try:
        serve.start(
            proxy_location="EveryNode",
            http_options={"host": settings.host, "port": settings.port},
        )
        try:
            serve.run(application, name=NAME, route_prefix=prefix)
            sys.stderr.write(f"running on http://{settings.host}:{settings.port}{prefix}\n")
            ended.wait()
        except (RuntimeError, RayServeException) as error:
            raise InvalidRequestError(f"the application wasn't started: {error}") from error
        finally:
            # The actors finish what they have in work.
            serve.delete(NAME)
            if address is None:
                serve.shutdown()
    finally:
        ray.shutdown()


def _with_threads(config: Config, actors: Actors) -> Config:
    """The configuration with as many threads as an actor has CPUs."""
    return replace(config, settings=replace(config.settings, threads=actors.num_cpus))


def _deployment(kind: type, name: str, actors: Actors, shutdown_seconds: float) -> Any:
    scale: dict[str, Any] = {"num_replicas": actors.replicas or 1}
    if actors.max_replicas is not None:
        scale = {
            "autoscaling_config": AutoscalingConfig(
                min_replicas=actors.min_replicas or 1,
                max_replicas=actors.max_replicas,
                target_ongoing_requests=actors.target_ongoing_requests,
                upscale_delay_s=actors.upscale_delay_s,
                downscale_delay_s=actors.downscale_delay_s,
            )
        }
    return serve.deployment(
        kind,
        name=name,
        ray_actor_options={
            "num_cpus": actors.num_cpus,
            "num_gpus": actors.num_gpus,
            "resources": dict(actors.resources or {}),
            # Read by libraries when they are imported; they would count the machine's CPUs.
            "runtime_env": {"env_vars": dict.fromkeys(_THREADS, str(actors.num_cpus))},
        },
        max_ongoing_requests=actors.max_ongoing_requests,
        max_queued_requests=actors.max_queued_requests,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=_RETRY_AFTER),
        health_check_period_s=_HEALTH_PERIOD,
        health_check_timeout_s=_HEALTH_TIMEOUT,
        graceful_shutdown_timeout_s=shutdown_seconds,
        max_constructor_retry_count=_STARTS,
        **scale,
    )
