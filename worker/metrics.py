"""Every metric the worker exports, once: its name, its labels and what it means."""

from __future__ import annotations

import itertools
import platform
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from worker.jobs import ModelName, Partition

# Edges at common latency budgets: 10, 25, 50, 100, 200, 300, 500 ms, 1, 2, 5 s.
LATENCY_BUCKETS = (
    *(0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75),
    *(1, 1.5, 2, 3, 5, 7.5, 10),
)
SLACK_BUCKETS = (-1.0, -0.1, 0.0, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10)
LOGIT_BUCKETS = (-10.0, -8, -6, -5, -4, -3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 4, 5, 6, 8, 10)
SIZE_BUCKETS = tuple(2.0**power for power in range(16))

STAGES = ("waiting", "decode", "tokenize", "schedule", "score", "publish")
PLACES = ("first", "middle", "last")


class Metrics:
    """The metrics of one worker, in a registry of their own; each series exists before the first event."""

    def __init__(self, dead_letter_reasons: Iterable[str]) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter and histogram, which Prometheus does not need
        registry = self.registry = CollectorRegistry(auto_describe=True)
        self._cache_totals: dict[tuple[str, str], int] = {}
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

        def counter(name: str, meaning: str, *labels: str) -> Counter:
            return Counter(f"rerank_{name}", meaning, labels, registry=registry)

        def gauge(name: str, meaning: str, *labels: str) -> Gauge:
            return Gauge(f"rerank_{name}", meaning, labels, registry=registry)

        def histogram(name: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"rerank_{name}", meaning, labels, buckets=buckets, registry=registry)

        self.events = counter("events", "Events published, by how they ended.", "outcome", "reason")
        self.dead_letters = counter("dead_letters", "Events published as dead letters, by reason.", "reason")
        self.dropped = counter(
            "dropped",
            "Events put aside because their partition or their transaction was given up; they are read again.",
        )
        self.pairs = counter("pairs", "Pairs of query and candidate that were scored.")
        self.tokens = counter("tokens", "Tokens sent through the model: real ones, and padding.", "kind")
        self.deadlines = counter("deadlines", "Events published, by whether their latency budget was met.", "met")
        self.default_budget = gauge("default_budget_seconds", "Latency budget of the events that name none.")
        self.event_latency = histogram(
            "event_latency_seconds",
            "From a record's timestamp to the acknowledgement of its result or dead letter.",
            LATENCY_BUCKETS,
        )
        self.slack = histogram(
            "slack_at_dispatch_seconds",
            "Time left to an event's deadline when its last pairs went to the model.",
            SLACK_BUCKETS,
        )
        self.stage_duration = histogram(
            "stage_duration_seconds", "Time that an event spent in a stage.", LATENCY_BUCKETS, "stage"
        )
        self.batch_events = histogram("batch_events", "Events that shared a batch.", SIZE_BUCKETS[:11])
        self.batch_pairs = histogram("batch_pairs", "Pairs in a batch.", SIZE_BUCKETS[:14])
        self.batch_tokens = histogram("batch_tokens", "Real tokens in a batch.", SIZE_BUCKETS)
        self.batch_seconds = histogram(
            "batch_seconds", "Time that a batch took, from launch to scores.", LATENCY_BUCKETS
        )
        self.predicted_batch_seconds = histogram(
            "predicted_batch_seconds", "Time that a batch was predicted to take at most.", LATENCY_BUCKETS
        )
        self.dispatches = counter("dispatch", "Batches, by why they were not larger.", "reason")
        self.device_busy = counter("device_busy_seconds", "Time that the device spent on batches.")
        self.cache_requests = counter("cache_requests", "Look-ups in a cache.", "cache", "result")
        self.in_flight_tokens = gauge(
            "in_flight_tokens", "Tokens of the events inside the worker, as the door counts them."
        )
        self.in_flight_bytes = gauge(
            "in_flight_bytes", "Bytes of the records inside the worker, keys and headers included."
        )
        self.lag_records = gauge(
            "consumer_lag_records",
            "Records of a partition that are not done: those not received yet, and those inside the worker.",
            *("topic", "partition"),
        )
        self.lag_seconds = gauge(
            "consumer_lag_seconds",
            "Age of the first record of a partition that is not done; 0 where all are.",
            *("topic", "partition"),
        )
        self.partitions_assigned = gauge("partitions_assigned", "Partitions that this worker owns.")
        self.partitions_paused = gauge("partitions_paused", "Partitions paused because the door is shut.")
        self.rebalances = counter("rebalances", "Rebalance events.", "kind")
        self.commits = counter("commits", "Offset commits.", "result")
        self.transactions = counter("transactions", "Transactions, by how they ended.", "result")
        self.transaction_seconds = histogram(
            "transaction_seconds", "Time from a transaction's first record to its end.", LATENCY_BUCKETS
        )
        self.transaction_end_seconds = histogram(
            "transaction_end_seconds", "Time that ending a transaction took, of the time before.", LATENCY_BUCKETS
        )
        self.commit_age = gauge(
            "commit_age_seconds",
            "Time since the worker began to commit, or to end a transaction, without success so far; else 0.",
        )
        self.poll_age = gauge("poll_age_seconds", "Time since the main loop last went round.")
        self.backlog = gauge(
            "backlog_seconds",
            "Device time that the records that are not done would take, each scored as a whole.",
        )
        self.displacement = histogram(
            "rank_displacement",
            "How far the model moved a list that it scored as a whole: Spearman's footrule, 0 as it came, 1 reversed.",
            (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        )
        self.gpu_utilization = gauge(
            "gpu_utilization_ratio", "Share of the time in which a kernel ran, as the GPU's driver says.", "device"
        )
        self.gpu_memory_used = gauge(
            "gpu_memory_used_bytes", "Memory of the GPU in use, by whatever process.", "device"
        )
        self.gpu_memory_total = gauge("gpu_memory_total_bytes", "Memory that the GPU has.", "device")
        self.logits = histogram(
            "logits",
            "Logit of the first, middle and last candidate of a list that was scored as a whole, as it was published.",
            LOGIT_BUCKETS,
            "candidate",
        )
        self.build = Info("rerank_build", "What runs here.", registry=registry)
        self._create_series(dead_letter_reasons)

    def name_build(self, version: str, model: ModelName, device: str, dtype: str) -> None:
        """Fill build_info, once the model is known."""
        self.build.info(
            {
                "version": version,
                "model": model.id,
                "revision": model.revision,
                "device": device,
                "dtype": dtype,
                "python": platform.python_version(),
            }
        )

    def show_gpu(
        self,
        device: str,
        utilization: Callable[[], float],
        memory_used: Callable[[], float],
        memory_total: Callable[[], float],
    ) -> None:
        """Begin the series of a GPU, which is asked whenever the metrics are read."""
        self.gpu_utilization.labels(device).set_function(utilization)
        self.gpu_memory_used.labels(device).set_function(memory_used)
        self.gpu_memory_total.labels(device).set_function(memory_total)

    def count_cache(self, cache: str, *, hits: int, misses: int) -> None:
        """Bring the look-ups of a cache up to its own totals, which only grow. For one thread."""
        for result, total in (("hit", hits), ("miss", misses)):
            key = (cache, result)
            self.cache_requests.labels(*key).inc(total - self._cache_totals.get(key, 0))
            self._cache_totals[key] = total

    def add_partitions(self, partitions: Iterable[Partition]) -> None:
        """Begin the series of assigned partitions."""
        for partition in partitions:
            self.lag_records.labels(partition.topic, partition.number)
            self.lag_seconds.labels(partition.topic, partition.number)

    def remove_partitions(self, partitions: Iterable[Partition]) -> None:
        """End the series of partitions that were given up: a stale lag would alert for ever."""
        for partition in partitions:
            self.lag_records.remove(partition.topic, partition.number)
            self.lag_seconds.remove(partition.topic, partition.number)

    def _create_series(self, dead_letter_reasons: Iterable[str]) -> None:
        for outcome in (("reranked", "complete"), ("partial", "no_time"), ("passthrough", "no_time")):
            self.events.labels(*outcome)
        for cache, result in itertools.product(("tokens", "scores"), ("hit", "miss")):
            self.cache_requests.labels(cache, result)
        for metric, values in (
            (self.dispatches, ("drained", "full", "deadline")),
            (self.dead_letters, dead_letter_reasons),
            (self.tokens, ("real", "padding")),
            (self.deadlines, ("true", "false")),
            (self.stage_duration, STAGES),
            (self.logits, PLACES),
            (self.rebalances, ("assigned", "revoked", "lost")),
            (self.commits, ("ok", "refused")),
            (self.transactions, ("committed", "aborted")),
        ):
            for value in values:
                metric.labels(value)
