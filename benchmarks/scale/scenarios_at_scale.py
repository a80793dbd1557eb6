"""The fleets that are simulated, and what happens to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from events import Autoscaling, Failure
from fleet import Pool
from running import Fleet, Outcome, run
from traffic import Stage, Traffic

SECONDS = 300.0
EVENT = 60.0
"""When something happens: a zone fails, or the load doubles."""
SIZES = (10, 100)
LARGE = 1000


@dataclass(frozen=True)
class Assumed:
    """What wasn't measured here.

    cores: of a host with processors alone. threads: of a replica on it.
    price, gpu_price: of a host, for an hour, in dollars.
    gpu: a host with one ranks as many pairs a second as this number of cores.
    """

    cores: int = 8
    threads: int = 8
    price: float = 0.36
    gpu_price: float = 1.2
    gpu: float = 80.0
    start: float = 150.0


@dataclass(frozen=True)
class Scenario:
    """A fleet of a size, its load as a share of what it can do, and what happens.

    ongoing, queued: requests that a replica has at once, and that wait in all, for each host.
    large: with `LARGE` hosts, too, which takes minutes.
    """

    name: str
    load: float
    burst: float = 1.0
    step: bool = False
    scaling: bool = False
    failure: bool = False
    cascade: bool = False
    ongoing: int = 8
    queued: int = 4
    large: bool = False

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of hosts."""
        return (*SIZES, LARGE) if self.large else SIZES


SCENARIOS = (
    Scenario("even", 0.6, large=True),
    Scenario("even, fuller", 0.85),
    Scenario("bursts of 3 ×", 0.5, burst=3, large=True),
    Scenario("bursts of 3 ×, autoscaled", 0.5, burst=3, scaling=True),
    Scenario("load doubles", 0.6, step=True),
    Scenario("load doubles, deep queues", 0.6, step=True, ongoing=32, queued=64),
    Scenario("load doubles, autoscaled", 0.6, step=True, scaling=True),
    Scenario("a zone of 3 fails", 0.5, failure=True, large=True),
    Scenario("a zone of 3 fails, fuller", 0.75, failure=True),
    Scenario("a zone of 3 fails, fuller, autoscaled", 0.75, failure=True, scaling=True, large=True),
    Scenario("cascade onto GPUs, even", 0.6, cascade=True),
    Scenario("cascade onto GPUs, a zone of 3 fails", 0.5, cascade=True, failure=True),
)

Costs = Mapping[str, Sequence[float]]


def simulate(
    scenario: Scenario, hosts: int, costs: Costs, assumed: Assumed, seconds: float = SECONDS
) -> tuple[Outcome, Traffic]:
    """One run; the rate is the scenario's share of what its fleet could do at best."""
    pools, stages = (_cascade if scenario.cascade else _plain)(scenario, hosts, costs, assumed)
    best = min(
        pool.hosts * pool.cores / (fmean(stage.costs) + stage.overhead)
        for pool, stage in zip(pools, stages, strict=True)
    )
    traffic = Traffic(
        scenario.load * best,
        burst=scenario.burst,
        step=EVENT if scenario.step else None,
        steps_to=2.0,
    )
    scaling = {
        # Of the requests that a replica has in the mean at three quarters of what it can do.
        pool.name: Autoscaling(3.0, pool.hosts, 4 * pool.hosts, start=assumed.start)
        for pool in pools
        if scenario.scaling
    }
    failure = Failure(EVENT) if scenario.failure else None
    return run(Fleet(pools, stages, scaling), traffic, seconds, failure=failure), traffic


def _plain(
    scenario: Scenario, hosts: int, costs: Costs, assumed: Assumed
) -> tuple[list[Pool], list[Stage]]:
    pool = Pool(
        "cpu",
        hosts,
        cores=assumed.cores,
        threads=assumed.threads,
        max_ongoing=scenario.ongoing,
        max_queued=scenario.queued * hosts,
        price=assumed.price,
    )
    return [pool], [Stage("cpu", costs["small"])]


def _cascade(
    scenario: Scenario, hosts: int, costs: Costs, assumed: Assumed
) -> tuple[list[Pool], list[Stage]]:
    """`resift-small` on processors, then a model of 20 times the work for a fifth of them."""
    small = _plain(scenario, hosts, costs, assumed)
    large = [20 * each for each in costs["small of 20"]]
    ratio = fmean(large) / assumed.gpu / (fmean(costs["small"]) / assumed.cores)
    pool = Pool(
        "gpu",
        max(3, round(hosts * ratio)),
        cores=assumed.gpu,
        threads=assumed.gpu,
        max_ongoing=scenario.ongoing,
        max_queued=scenario.queued * hosts,
        price=assumed.gpu_price,
    )
    return [*small[0], pool], [*small[1], Stage("gpu", large)]
