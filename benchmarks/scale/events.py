"""What happens to a fleet: hosts that come and go by load, and a zone that fails."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from math import ceil
from typing import Any

from fleet import Router
from simpy import Environment, Event


@dataclass(frozen=True)
class Autoscaling:
    """Ray Serve's policy, with its defaults, and the time that a host takes to come.

    target: requests at work or waiting for each replica, in the mean over `look_back` seconds.
    up, down: seconds for which more or fewer must be wanted.
    start: seconds until a host that was asked for can rank.
    """

    target: float
    least: int
    most: int
    look_back: float = 30.0
    up: float = 30.0
    down: float = 600.0
    every: float = 10.0
    start: float = 150.0


def autoscale(
    env: Environment, router: Router, policy: Autoscaling, zones: list[int], seed: int
) -> Generator[Event, Any, None]:
    """Ask for hosts, and give them back; `zones` are those that work."""
    generator = random.Random(f"autoscaling {seed}")
    seen: deque[float] = deque(maxlen=max(1, round(policy.look_back / policy.every)))
    more = fewer = coming = 0.0

    def arrive() -> Generator[Event, Any, None]:
        nonlocal coming
        yield env.timeout(policy.start)
        coming -= 1
        router.add(generator.choice(zones))

    while True:
        yield env.timeout(policy.every)
        seen.append(router.ongoing)
        each = policy.target * router.pool.replicas
        wanted = min(policy.most, max(policy.least, ceil(sum(seen) / len(seen) / each)))
        have = len(router.hosts) + coming
        more = more + policy.every if wanted > have else 0.0
        fewer = fewer + policy.every if wanted < have else 0.0
        # Below the least it doesn't wait to be sure.
        if more and (more > policy.up or have < policy.least):
            for _ in range(int(wanted - have)):
                coming += 1
                env.process(arrive())
            more = 0.0
        if fewer > policy.down and not coming:
            for host in sorted(router.hosts, key=lambda one: sum(r.ongoing for r in one.replicas))[
                : int(have - wanted)
            ]:
                router.remove(host)
            fewer = 0.0


@dataclass(frozen=True)
class Failure:
    """A zone dies at a second, and that is known `detected` seconds later."""

    at: float
    zone: int = 0
    detected: float = 15.0


def fail(
    env: Environment, routers: list[Router], failure: Failure, zones: list[int]
) -> Generator[Event, Any, None]:
    """Let it happen."""
    yield env.timeout(failure.at)
    dead = [
        (router, host) for router in routers for host in router.hosts if host.zone == failure.zone
    ]
    zones.remove(failure.zone)
    for _, host in dead:
        host.die()
    yield env.timeout(failure.detected)
    for router, host in dead:
        if host in router.hosts:
            router.remove(host)
        host.given_up()
