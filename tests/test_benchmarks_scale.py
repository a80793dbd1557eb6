"""benchmarks/scale: the simulation of fleets, held against theory."""

from __future__ import annotations

import random
from collections.abc import Callable
from statistics import fmean
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

UNBOUNDED = {"max_ongoing": 10**9, "max_queued": 10**9}


@pytest.fixture
def at(module: Callable[[str], ModuleType]) -> Any:
    pytest.importorskip("simpy")
    modules = ("events", "fleet", "running", "scenarios_at_scale", "traffic", "scale_report")
    return SimpleNamespace(**{name: module(name) for name in modules})


def poisson(at: Any, pools: list[Any], rate: float, costs: list[float], **more: Any) -> Any:
    stages = [at.traffic.Stage(pool.name, costs) for pool in pools]
    fleet = at.running.Fleet(pools, stages, **{k: more.pop(k) for k in ("scaling",) if k in more})
    return at.running.run(fleet, at.traffic.Traffic(rate), more.pop("seconds", 1000), **more)


@pytest.mark.parametrize("load", [0.4, 0.7])
def test_one_replica_is_a_queue_with_shared_service(at: Any, load: float) -> None:
    """M/G/1 with processor sharing: Kleinrock, Queueing Systems 2 (1976), section 4.4."""
    generator = random.Random(3)
    costs = [generator.expovariate(4.0) for _ in range(500)]
    pool = at.fleet.Pool("cpu", 1, cores=2, threads=2, **UNBOUNDED)
    outcome = poisson(at, [pool], load * 2 / fmean(costs), costs, seconds=3000)
    found = fmean(latency for _, latency in outcome.latencies)
    assert found == pytest.approx(fmean(costs) / 2 / (1 - load), rel=0.08)


def test_replicas_share_the_cores_of_their_host(at: Any) -> None:
    def at_once(replicas: int, threads: float) -> float:
        pool = at.fleet.Pool("cpu", 1, 2, replicas, threads, max_ongoing=1, max_queued=0)
        env = at.fleet.Environment()
        host = at.fleet.Host(env, pool, 0)
        done = [host.start(each, 1.0) for each in host.replicas]
        env.run(env.all_of(done))
        return float(env.now)

    assert at_once(1, 1) == pytest.approx(1.0)
    assert at_once(2, 1) == pytest.approx(1.0)
    assert at_once(4, 1) == pytest.approx(2.0)
    assert at_once(1, 2) == pytest.approx(0.5)


def test_callers_who_wait_for_their_answers_keep_as_many_requests_at_work(at: Any) -> None:
    pool = at.fleet.Pool("cpu", 1, cores=2, replicas=2, threads=1, max_ongoing=8)
    fleet = at.running.Fleet([pool], [at.traffic.Stage("cpu", [0.5])])
    one, four = (at.running.closed(fleet, callers, 200.1) for callers in (1, 4))
    assert (len(one.latencies), one.percentile(0.5)) == (400, pytest.approx(0.5))
    # Both cores are busy but for when one replica has all the callers.
    assert 600 < len(four.latencies) <= 800


def test_every_request_has_one_fate(at: Any) -> None:
    pool = at.fleet.Pool("cpu", 4, cores=1, threads=1, max_ongoing=2, max_queued=3)
    failure = at.events.Failure(20.0, zone=1, detected=5.0)
    outcome = poisson(at, [pool], 8.0, [0.4, 0.6], seconds=100, failure=failure)
    arrivals = len(list(at.traffic.Traffic(8.0).times(100, 0)))
    unfinished = outcome.waiting[-1][1]
    assert 0 <= arrivals - outcome.asked <= max(unfinished, 12)
    assert outcome.fates["refused"] > 0
    assert len(outcome.latencies) == outcome.fates["answered"] + outcome.fates["late"]
    # Those that the dead host had were asked for again, and took at least until it was known.
    assert max(latency for start, latency in outcome.latencies if start < 25) >= 4
    assert outcome.hosts[-1][1] == {"cpu": 3}


def test_the_same_seed_has_the_same_outcome(at: Any) -> None:
    scenario = next(each for each in at.scenarios_at_scale.SCENARIOS if each.scaling)
    costs = {"small": [1.0, 2.0], "small of 20": [0.3]}
    assumed = at.scenarios_at_scale.Assumed()
    runs = [at.scenarios_at_scale.simulate(scenario, 3, costs, assumed, 60)[0] for _ in range(2)]
    assert runs[0] == runs[1]


def test_more_hosts_come_when_the_load_doubles(at: Any) -> None:
    costs = {"small": [1.0], "small of 20": [0.3]}
    assumed, found = at.scenarios_at_scale.Assumed(start=20.0), {}
    for scenario in at.scenarios_at_scale.SCENARIOS:
        if scenario.step and scenario.queued < 64:
            outcome, traffic = at.scenarios_at_scale.simulate(scenario, 5, costs, assumed)
            found[scenario.scaling] = at.scale_report.row(scenario, 5, outcome, traffic)
    assert found[True]["hosts_at_end"] > 5 == found[False]["hosts_at_end"]
    assert found[True]["refused"] < found[False]["refused"]
    assert found[True]["recovered"] < 120
    assert found[False]["recovered"] == "never"
    assert found[True]["per_million"] > found[False]["per_million"]


def test_seconds_until_work_is_done_as_fast_again(module: Callable[[str], ModuleType]) -> None:
    pytest.importorskip("bm25s")
    back_after = module("kills").back_after
    even = [each / 10 for each in range(600)]
    assert back_after(even, 20.0) == 0
    # Half of it is missing from 20 to 30, and the window is over 6 s.
    halved = [each for each in even if not 20 <= each < 30 or round(each * 10) % 2]
    assert 10 < back_after(halved, 20.0) < 16
    never = [each for each in even if each < 20 or round(each * 10) % 2]
    assert back_after(never, 20.0) == float("inf")


def test_bursts_keep_the_mean(at: Any) -> None:
    traffic = at.traffic.Traffic(20.0, burst=4.0, lasting=5.0, between=20.0)
    times = list(traffic.times(20_000, 1))
    assert times == sorted(times)
    assert len(times) / 20_000 == pytest.approx(20.0, rel=0.05)
    counts = [0] * 20_000
    for each in times:
        counts[int(each)] += 1
    # A Poisson process has a variance of its mean.
    assert fmean((each - 20) ** 2 for each in counts) > 3 * 20
