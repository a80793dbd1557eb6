"""Hosts with processors, the replicas on them, and who gives them requests: in simulated time."""

from __future__ import annotations

import heapq
import itertools
import random
from collections import deque
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from simpy import Environment, Event


class RefusedError(Exception):
    """Too much waits already: what a client sees is status 429."""


class LostError(Exception):
    """The host died while it had the request."""


@dataclass(frozen=True)
class Pool:
    """Hosts of one kind.

    hosts: at the beginning.
    cores: of a host, in those that work was measured on.
    replicas: on a host. threads: of a replica, in cores.
    max_ongoing: requests that a replica has at once. max_queued: those that wait for one, in all.
    price: of a host, for an hour.
    """

    name: str
    hosts: int
    cores: float
    replicas: int = 1
    threads: float = 4
    max_ongoing: int = 32
    max_queued: int = 64
    price: float = 0.0


class Replica:
    """Shares its threads evenly among its requests, as resift's queue gives passes by turns."""

    def __init__(self, host: Host) -> None:
        self.host = host
        # What a request that was here from the beginning would have got, in seconds of a core.
        self.served = 0.0
        self.jobs: list[tuple[float, int, Event]] = []
        self.ongoing = 0


class Host:
    """Its replicas share the cores, in equal parts where all are busy."""

    _numbers = itertools.count()

    def __init__(self, env: Environment, pool: Pool, zone: int) -> None:
        self.env, self.pool, self.zone = env, pool, zone
        self.replicas = [Replica(self) for _ in range(pool.replicas)]
        self.alive, self.since = True, env.now
        self._last, self._plan = env.now, 0

    def start(self, replica: Replica, work: float) -> Event:
        """Give a replica `work`, in seconds of a core; the event comes when it is done."""
        done = self.env.event()
        self._advance()
        heapq.heappush(replica.jobs, (replica.served + work, next(self._numbers), done))
        self._replan()
        return done

    def _speed(self) -> float:
        """Cores of each busy replica."""
        wanted = self.pool.threads * sum(bool(each.jobs) for each in self.replicas)
        return self.pool.threads * min(1.0, self.pool.cores / max(wanted, 1e-9))

    def _advance(self) -> None:
        passed, self._last = self.env.now - self._last, self.env.now
        if self.alive and passed:
            speed = self._speed()
            for each in self.replicas:
                if each.jobs:
                    each.served += speed * passed / len(each.jobs)

    def _replan(self) -> None:
        """Wake when the first of all is done, and not at what was planned before."""
        self._plan += 1
        speed = self._speed()
        waits = [
            (each.jobs[0][0] - each.served) * len(each.jobs) / speed
            for each in self.replicas
            if each.jobs
        ]
        if waits and self.alive:
            wake = self.env.timeout(max(0.0, min(waits)), self._plan)
            wake.callbacks.append(self._wake)

    def _wake(self, event: Event) -> None:
        if event.value != self._plan or not self.alive:
            return
        self._advance()
        for each in self.replicas:
            while each.jobs and each.jobs[0][0] <= each.served + 1e-9:
                heapq.heappop(each.jobs)[2].succeed()
        self._replan()

    def die(self) -> None:
        """Do nothing more, and tell nobody."""
        self.alive = False

    def given_up(self) -> None:
        """All of its requests are lost, and it is known."""
        for each in self.replicas:
            for _, _, done in each.jobs:
                done.fail(LostError())
            each.jobs.clear()


class Router:
    """Gives a pool's requests to its replicas: the emptier of two that are drawn, as Ray does.

    A replica that has `max_ongoing` gets none; where those that were drawn are full, the request
    waits for the first that has room.
    """

    _DRAWS = 8

    def __init__(self, env: Environment, pool: Pool, zones: int, seed: int) -> None:
        self.env, self.pool = env, pool
        self._random = random.Random(f"router {pool.name} {seed}")
        self.hosts = [Host(env, pool, number % zones) for number in range(pool.hosts)]
        self.replicas = [each for host in self.hosts for each in host.replicas]
        self.waiting: deque[Event] = deque()
        self.paid = 0.0

    @property
    def ongoing(self) -> int:
        """Requests that replicas have, or that wait for one."""
        return sum(each.ongoing for each in self.replicas) + len(self.waiting)

    def serve(self, work: float) -> Generator[Event, Any, None]:
        """Have `work` done. Raises `RefusedError`, or `LostError`."""
        replica = self._draw()
        while replica is None:
            if len(self.waiting) >= self.pool.max_queued:
                raise RefusedError
            turn = self.env.event()
            self.waiting.append(turn)
            yield turn
            replica = self._draw()
        replica.ongoing += 1
        try:
            yield replica.host.start(replica, work)
        finally:
            replica.ongoing -= 1
            self._next()

    def _draw(self) -> Replica | None:
        for _ in range(self._DRAWS if self.replicas else 0):
            drawn = (self._random.choice(self.replicas), self._random.choice(self.replicas))
            best = min(drawn, key=lambda each: each.ongoing)
            if best.ongoing < self.pool.max_ongoing:
                return best
        return None

    def _next(self) -> None:
        if self.waiting:
            self.waiting.popleft().succeed()

    def add(self, zone: int) -> None:
        """One more host, which can rank already."""
        host = Host(self.env, self.pool, zone)
        self.hosts.append(host)
        self.replicas += host.replicas
        for _ in range(len(host.replicas) * self.pool.max_ongoing):
            self._next()

    def remove(self, host: Host) -> None:
        """Give it no more requests, and pay for it until now; what it has, it ends."""
        self.hosts.remove(host)
        self.replicas = [each for each in self.replicas if each.host is not host]
        self.paid += (self.env.now - host.since) / 3600 * self.pool.price

    def cost(self) -> float:
        """Of all hosts until now."""
        running = sum(self.env.now - host.since for host in self.hosts)
        return self.paid + running / 3600 * self.pool.price
