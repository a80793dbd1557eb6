"""Prometheus metrics: resift's own, and those of Text Embeddings Inference that mean the same.

TEI's names are its router's (``te_request_count`` and so on), so that its dashboards work; its
counters have no ``_total``, which prometheus_client would add, so they are written by hand.
"""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from resift.ranking import Ranking
from resift.scoring import Waiting

# prometheus_client's names for it come and go.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

# From 1 ms to a minute, each half as long again as the one before; TEI's begin at 15 µs.
_SECONDS = [0.001 * 1.5**step for step in range(28)]
_SIZES = [2**step for step in range(16)]
_TOKENS = [2**step for step in range(4, 18)]
_PHASES = ("load", "tokenize", "queue", "infer", "rank", "total")
_TEI_PHASES = {"tokenization": "tokenize", "queue": "queue", "inference": "infer"}
_COUNTS = {
    "documents": "Documents given",
    "scored": "Documents scored",
    "pairs": "Pairs that models scored, windows included",
    "tokens": "Tokens of those pairs",
    "padded_tokens": "Tokens of those pairs with padding: tokens by these is how full batches were",
    "truncated_documents": "Documents that a model didn't see whole",
    "pruned_documents": "Documents left out by early exit or a cascade",
    "cached": "Texts whose logit came from a cache",
}
# What becomes of a query that is recorded.
_RESULTS = ("written", "failed", "dropped")
# The counters and histograms of a model, by what they count.
_Series = tuple[list[tuple[str, Counter]], list[tuple[str, Histogram]]]
_TEI_FAILURES = {
    "invalid": "validation",
    "too_large": "batch_size",
    "model": "model_type",
    "inference": "inference",
    "overloaded": "overloaded",
    "key_limit": "overloaded",
    "dropped": "dropped",
}


class Metrics:
    """The metrics of one server, in a registry of its own.

    ``waiting`` gives the work that is queued; ``gauges`` are numbers read when they are asked for,
    by name, with their descriptions.
    """

    def __init__(
        self,
        waiting: Callable[[], Waiting],
        gauges: dict[str, tuple[str, Callable[[], float]]],
    ) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "resift_requests", "Requests", ["path", "protocol", "status"], registry=registry
        )
        self._seconds = Histogram(
            "resift_request_seconds",
            "Seconds from a request's head to its answer",
            ["path"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._refused = Counter(
            "resift_refused", "Requests not ranked", ["reason"], registry=registry
        )
        self._rankings = Counter(
            "resift_rankings", "Rankings", ["model", "status"], registry=registry
        )
        self._phases = Histogram(
            "resift_phase_seconds",
            "Seconds of a request in each phase",
            ["model", "phase"],
            buckets=_SECONDS,
            registry=registry,
        )
        recorded = Counter(
            "resift_recorded", "Queries to be recorded", ["result"], registry=registry
        )
        self._recorded = {result: recorded.labels(result) for result in _RESULTS}
        self._counts = {
            name: Counter(f"resift_{name}", text, ["model"], registry=registry)
            for name, text in _COUNTS.items()
        }
        self._series: dict[str, _Series] = {}
        self._batch_pairs = Histogram(
            "resift_batch_pairs", "Pairs of a forward pass", buckets=_SIZES, registry=registry
        )
        self._tei = _Tei(registry)
        for name, (text, read) in gauges.items():
            Gauge(f"resift_{name}", text, registry=registry).set_function(read)
        for name, text in (
            ("pairs", "Pairs that wait for a forward pass"),
            ("tokens", "Padded tokens that wait for a forward pass"),
            ("running", "Forward passes that run"),
        ):
            gauge = Gauge(f"resift_queue_{name}", text, registry=registry)
            gauge.set_function(lambda name=name: getattr(waiting(), name))  # type: ignore[misc]
        Gauge("te_queue_size", "Pairs that wait", registry=registry).set_function(
            lambda: waiting().pairs
        )

    def pass_begins(self, pairs: int, tokens: int) -> None:
        """Count a forward pass, by its pairs and padded tokens; called in its thread."""
        self._batch_pairs.observe(pairs)
        self._tei.batch_size.observe(pairs)
        self._tei.batch_tokens.observe(tokens)

    def ranked(self, model: str, rankings: Sequence[Ranking], seconds: float) -> None:
        """Count a request that was ranked, by the name that its model is served under."""
        counts, phases = self._of_model(model)
        for ranking in rankings:
            self._rankings.labels(model, ranking.status).inc()
            for name, counter in counts:
                counter.inc(getattr(ranking.counts, name))
        timings = rankings[0].timings
        for phase, histogram in phases:
            histogram.observe(getattr(timings, phase))
        self._tei.ranked(rankings, seconds)

    def _of_model(self, model: str) -> _Series:
        # Looking up a series costs as much as counting in it.
        if model not in self._series:
            self._series[model] = (
                [(name, counter.labels(model)) for name, counter in self._counts.items()],
                [(phase, self._phases.labels(model, phase)) for phase in _PHASES],
            )
        return self._series[model]

    def answered(self, path: str, protocol: str, status: int, seconds: float) -> None:
        """Count an answer."""
        self._requests.labels(path, protocol, str(status)).inc()
        self._seconds.labels(path).observe(seconds)

    def asked(self) -> None:
        """Count a request to rank, as TEI does."""
        self._tei.tally["te_request_count", ("method", "batch")] += 1

    def refused(self, reason: str) -> None:
        """Count a request that wasn't ranked, and why."""
        self._refused.labels(reason).inc()
        named = _TEI_FAILURES.get(reason)
        if named is not None:
            self._tei.tally["te_request_failure", ("err", named)] += 1

    def recorded(self, result: str, queries: int) -> None:
        """Count queries that were ``"written"``, ``"failed"`` or ``"dropped"``, in any thread."""
        self._recorded[result].inc(queries)

    def text(self) -> bytes:
        """The metrics as Prometheus reads them."""
        return generate_latest(_WithoutTimes(self.registry))


class _WithoutTimes:
    """A registry without the times at which series were made: a second series for each."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [x for x in metric.samples if not x.name.endswith("_created")]
            yield metric


class _Tei(Collector):
    """The metrics of Text Embeddings Inference."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.tally: Tally[tuple[str, tuple[str, str]]] = Tally()
        self._duration = Histogram(
            "te_request_duration", "Seconds of a request", buckets=_SECONDS, registry=registry
        )
        self._phases = {
            phase: Histogram(
                f"te_request_{name}_duration",
                f"Seconds of {name}",
                buckets=_SECONDS,
                registry=registry,
            )
            for name, phase in _TEI_PHASES.items()
        }
        self._length = Histogram(
            "te_request_input_length", "Tokens of a pair", buckets=_TOKENS, registry=registry
        )
        self.batch_size = Histogram(
            "te_batch_next_size", "Pairs of a batch", buckets=_SIZES, registry=registry
        )
        self.batch_tokens = Histogram(
            "te_batch_next_tokens", "Tokens of a batch", buckets=_TOKENS, registry=registry
        )
        registry.register(self)

    def ranked(self, rankings: Sequence[Ranking], seconds: float) -> None:
        timings = rankings[0].timings
        self.tally["te_request_success", ("method", "batch")] += 1
        self._duration.observe(seconds)
        for phase, histogram in self._phases.items():
            # TEI counts no waiting into its inference.
            waited = timings.queue if phase == "infer" else 0.0
            histogram.observe(max(0.0, getattr(timings, phase) - waited))
        for ranking in rankings:
            counts = ranking.counts
            if counts.pairs:
                self._length.observe(counts.tokens / counts.pairs)

    def collect(self) -> Iterator[Metric]:
        for name in ("te_request_count", "te_request_success", "te_request_failure"):
            metric = Metric(name, name.removeprefix("te_").replace("_", " "), "unknown")
            for (each, (label, value)), count in list(self.tally.items()):
                if each == name:
                    metric.add_sample(name, {label: value}, count)
            yield metric
