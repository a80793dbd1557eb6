"""One run of a fleet: requests through its stages, and what became of each."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from events import Autoscaling, Failure, autoscale, fail
from fleet import LostError, Pool, RefusedError, Router
from simpy import Environment, Event
from traffic import Stage, Traffic


@dataclass(frozen=True)
class Fleet:
    """pools: of its hosts. stages: what each request asks for, one after the other.

    scaling: by the pool's name; hosts stay as they are without.
    attempts: how often a request is tried, where the host that had it died.
    patience: seconds after which a client doesn't care any more.
    """

    pools: Sequence[Pool]
    stages: Sequence[Stage]
    scaling: dict[str, Autoscaling] = field(default_factory=dict)
    zones: int = 3
    attempts: int = 2
    patience: float = 5.0


@dataclass
class Outcome:
    """fates: how many were answered, answered `late`, `refused` and `lost`.

    latencies: of each answer, in seconds, with the second in which it was asked for.
    hosts: how many could rank, by second and pool. cost: of all hosts, in the prices' currency.
    """

    seconds: float
    fates: Counter[str] = field(default_factory=Counter)
    latencies: list[tuple[float, float]] = field(default_factory=list)
    missed: list[float] = field(default_factory=list)
    hosts: list[tuple[float, dict[str, int]]] = field(default_factory=list)
    waiting: list[tuple[float, float]] = field(default_factory=list)
    cost: float = 0.0

    @property
    def asked(self) -> int:
        """Requests whose fate is known."""
        return sum(self.fates.values())

    def percentile(self, share: float, since: float = 0.0, until: float = float("inf")) -> float:
        """Of the latencies of requests that arrived in these seconds; infinite without any."""
        found = sorted(latency for at, latency in self.latencies if since <= at < until)
        return found[min(len(found) - 1, int(share * len(found)))] if found else float("inf")

    def recovered(self, since: float, bound: float, lasting: float = 10.0) -> float:
        """Seconds after `since` until for `lasting` seconds none was missed or took over `bound`.

        Infinite where that never came.
        """
        bad = sorted(
            [at for at in self.missed if at >= since]
            + [at for at, latency in self.latencies if at >= since and latency > bound]
        )
        for last, first in pairwise([since, *bad, self.seconds]):
            if first - last >= lasting:
                return last - since
        return float("inf")


def run(
    fleet: Fleet,
    traffic: Traffic,
    seconds: float,
    seed: int = 0,
    failure: Failure | None = None,
) -> Outcome:
    """Simulate; the same seed, the same outcome."""
    env, outcome = Environment(), Outcome(seconds)
    routers = {pool.name: Router(env, pool, fleet.zones, seed) for pool in fleet.pools}
    zones = list(range(fleet.zones))
    for name, policy in fleet.scaling.items():
        env.process(autoscale(env, routers[name], policy, zones, seed))
    if failure:
        env.process(fail(env, list(routers.values()), failure, zones))
    env.process(_arrivals(env, fleet, routers, traffic, outcome, seed))
    env.process(_watch(env, routers, outcome))
    env.run(until=seconds + 1e-9)
    outcome.cost = sum(router.cost() for router in routers.values())
    return outcome


def closed(fleet: Fleet, callers: int, seconds: float, seed: int = 0) -> Outcome:
    """Simulate callers with one request after the other each, for as long."""
    env, outcome = Environment(), Outcome(seconds)
    routers = {pool.name: Router(env, pool, fleet.zones, seed) for pool in fleet.pools}

    def caller(number: int) -> Generator[Event, Any, None]:
        generator = random.Random(f"caller {number} {seed}")
        while True:
            works = [(routers[stage.pool], stage.draw(generator)) for stage in fleet.stages]
            yield from _request(env, fleet, works, outcome)

    for number in range(callers):
        env.process(caller(number))
    env.run(until=seconds)
    return outcome


def _arrivals(
    env: Environment,
    fleet: Fleet,
    routers: dict[str, Router],
    traffic: Traffic,
    outcome: Outcome,
    seed: int,
) -> Generator[Event, Any, None]:
    generator = random.Random(f"costs {seed}")
    for at in traffic.times(outcome.seconds, seed):
        yield env.timeout(at - env.now)
        works = [(routers[stage.pool], stage.draw(generator)) for stage in fleet.stages]
        env.process(_request(env, fleet, works, outcome))


def _request(
    env: Environment, fleet: Fleet, works: list[tuple[Router, float]], outcome: Outcome
) -> Generator[Event, Any, None]:
    start = env.now
    try:
        for router, work in works:
            for attempt in range(fleet.attempts):
                try:
                    yield from router.serve(work)
                    break
                except LostError:
                    if attempt + 1 == fleet.attempts:
                        raise
    except RefusedError:
        fate = "refused"
    except LostError:
        fate = "lost"
    else:
        latency = env.now - start
        outcome.latencies.append((start, latency))
        fate = "answered" if latency <= fleet.patience else "late"
    outcome.fates[fate] += 1
    if fate != "answered":
        outcome.missed.append(start)


def _watch(
    env: Environment, routers: dict[str, Router], outcome: Outcome
) -> Generator[Event, Any, None]:
    while True:
        outcome.hosts.append((env.now, {name: len(one.hosts) for name, one in routers.items()}))
        waiting = sum(router.ongoing for router in routers.values())
        outcome.waiting.append((env.now, waiting))
        yield env.timeout(1.0)
