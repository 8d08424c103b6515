"""Every metric the worker exports, once: its name, its labels with their values, and what it means."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

from prometheus_client import Info

from worker.observe.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from worker.flow.job import ModelName
    from worker.records import Partition

    Ask = Callable[[], float]

SLACK_BUCKETS = (-1.0, -0.1, 0.0, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10)
LOGIT_BUCKETS = (-10.0, -8, -6, -5, -4, -3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 4, 5, 6, 8, 10)
SIZE_BUCKETS = tuple(2.0**power for power in range(16))

STAGES = ("waiting", "decode", "tokenize", "schedule", "score", "publish")
PLACES = ("first", "middle", "last")


class Metrics:
    """The metrics of one worker, by theme, in a registry of their own."""

    def __init__(self, dead_letter_reasons: Iterable[str]) -> None:
        self.registry = new = Registry()
        self.events = EventMetrics(new, dead_letter_reasons)
        self.batches = BatchMetrics(new)
        self.partitions = PartitionMetrics(new)
        self.progress = ProgressMetrics(new)
        self.model = ModelMetrics(new)


class EventMetrics:
    """What became of events, what was scored of them, and how long it took."""

    def __init__(self, new: Registry, dead_letter_reasons: Iterable[str]) -> None:
        self.published = new.counter("events", "Events published, by how they ended.", outcome=(), reason=())
        for ending in (("reranked", "complete"), ("partial", "no_time"), ("passthrough", "no_time")):
            self.published.labels(*ending)
        self.dead_letters = new.counter(
            "dead_letters", "Events published as dead letters, by reason.", reason=dead_letter_reasons
        )
        self.dropped = new.counter(
            "dropped",
            "Events put aside because their partition or their transaction was given up; they are read again.",
        )
        self.candidates_received = new.counter("candidates_received", "Candidates of the events published.")
        self.candidates_scored = new.counter(
            "candidates_scored",
            "Candidates of the events published that have a score there, also one that was remembered.",
        )
        self.degraded_idle = new.counter(
            "degraded_while_idle",
            "Events not scored as a whole although nothing else waited for the device when that was decided.",
        )
        self.pairs = new.counter("pairs", "Pairs of query and candidate that were scored.")
        self.tokens = new.counter(
            "tokens", "Tokens sent through the model: real ones, and padding.", kind=("real", "padding")
        )
        self.deadlines = new.counter(
            "deadlines", "Events published, by whether their latency budget was met.", met=("true", "false")
        )
        self.default_budget = new.gauge("default_budget_seconds", "Latency budget of the events that name none.")
        self.latency = new.times(
            "event_latency_seconds", "From a record's timestamp to the acknowledgement of its result or dead letter."
        )
        self.slack = new.histogram(
            "slack_at_dispatch_seconds",
            "Time left to an event's deadline when its last pairs went to the model.",
            SLACK_BUCKETS,
        )
        self.clock_skew = new.gauge(
            "clock_skew_seconds",
            "Most that timestamps of 5 minutes were ahead of this machine's clock, or older than their records can be.",
            direction=("ahead", "behind"),
        )
        self.stage_duration = new.times("stage_duration_seconds", "Time that an event spent in a stage.", stage=STAGES)


class BatchMetrics:
    """What went to the model at once, and how long that took."""

    def __init__(self, new: Registry) -> None:
        self.events = new.histogram("batch_events", "Events that shared a batch.", SIZE_BUCKETS[:11])
        self.pairs = new.histogram("batch_pairs", "Pairs in a batch.", SIZE_BUCKETS[:14])
        self.tokens = new.histogram("batch_tokens", "Real tokens in a batch.", SIZE_BUCKETS)
        self.seconds = new.times("batch_seconds", "Time that a batch took, from launch to scores.")
        self.predicted_seconds = new.times(
            "predicted_batch_seconds", "Time that a batch was predicted to take at most."
        )
        self.dispatches = new.counter(
            "dispatch", "Batches, by why they were not larger.", reason=("drained", "full", "deadline")
        )
        self.device_busy = new.counter("device_busy_seconds", "Time that the device spent on batches.")
        self.cache_requests = new.counter(
            "cache_requests", "Look-ups in a cache.", cache=("tokens", "scores"), result=("hit", "miss")
        )
        self._cache_totals: dict[tuple[str, str], int] = {}

    def count_cache(self, cache: str, *, hits: int, misses: int) -> None:
        """Bring the look-ups of a cache up to its own totals, which only grow. For one thread."""
        for result, total in (("hit", hits), ("miss", misses)):
            key = (cache, result)
            self.cache_requests.labels(*key).inc(total - self._cache_totals.get(key, 0))
            self._cache_totals[key] = total


class PartitionMetrics:
    """The partitions, how far they are behind, and what is inside the worker of them."""

    def __init__(self, new: Registry) -> None:
        self.in_flight_tokens = new.gauge(
            "in_flight_tokens", "Tokens of the events inside the worker, as the in-flight limit counts them."
        )
        self.in_flight_bytes = new.gauge(
            "in_flight_bytes", "Bytes of the records inside the worker, keys and headers included."
        )
        partition: dict[str, tuple[str, ...]] = {"topic": (), "partition": ()}
        self.lag_records = new.gauge(
            "consumer_lag_records",
            "Records of a partition that are not done: those not received yet, and those inside the worker.",
            **partition,
        )
        self.lag_seconds = new.gauge(
            "consumer_lag_seconds",
            "Age of the first record of a partition that is not done; 0 where all are.",
            **partition,
        )
        self.assigned = new.gauge("partitions_assigned", "Partitions that this worker owns.")
        self.paused = new.gauge("partitions_paused", "Partitions paused because the in-flight limit is reached.")
        self.jumps = new.counter(
            "position_jumps",
            "Times that reading went on ahead of where it had come to, past requests that are lost, or back.",
            direction=("ahead", "back"),
        )
        self.rebalances = new.counter("rebalances", "Rebalance events.", kind=("assigned", "revoked", "lost"))

    def begin(self, partitions: Iterable[Partition]) -> None:
        """Begin the series of assigned partitions."""
        for partition in partitions:
            self.lag_records.labels(partition.topic, partition.number)
            self.lag_seconds.labels(partition.topic, partition.number)

    def end(self, partitions: Iterable[Partition]) -> None:
        """End the series of partitions that were given up: a stale lag would alert for ever."""
        for partition in partitions:
            self.lag_records.remove(partition.topic, partition.number)
            self.lag_seconds.remove(partition.topic, partition.number)


class ProgressMetrics:
    """What was committed, whether the worker goes on, and how much is still to do."""

    def __init__(self, new: Registry) -> None:
        self.commits = new.counter("commits", "Offset commits.", result=("ok", "refused"))
        self.transactions = new.counter(
            "transactions", "Transactions, by how they ended.", result=("committed", "aborted")
        )
        self.transaction_seconds = new.times(
            "transaction_seconds", "Time from a transaction's first record to its end."
        )
        self.transaction_end_seconds = new.times(
            "transaction_end_seconds", "Time that ending a transaction took, of the time before."
        )
        self.commit_age = new.gauge(
            "commit_age_seconds",
            "Time since the worker began to commit, or to end a transaction, without success so far; else 0.",
        )
        self.outcome_age = new.gauge(
            "outcome_age_seconds",
            "Age of the oldest outcome that was sent and not acknowledged; 0 while there is none (at least once).",
        )
        self.poll_age = new.gauge("poll_age_seconds", "Time since the main loop last went round.")
        self.backlog = new.gauge(
            "backlog_seconds", "Device time that the records that are not done would take, each scored as a whole."
        )


class ModelMetrics:
    """What runs here, on what, and how it ranks."""

    def __init__(self, new: Registry) -> None:
        self.displacement = new.histogram(
            "rank_displacement",
            "How far the model moved a list that it scored as a whole: Spearman's footrule, 0 as it came, 1 reversed.",
            (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        )
        self.gpu_utilization = new.gauge(
            "gpu_utilization_ratio", "Share of the time in which a kernel ran, as the GPU's driver says.", device=()
        )
        self.gpu_memory_used = new.gauge(
            "gpu_memory_used_bytes", "Memory of the GPU in use, by whatever process.", device=()
        )
        self.gpu_memory_total = new.gauge("gpu_memory_total_bytes", "Memory that the GPU has.", device=())
        self.logits = new.histogram(
            "logits",
            "Logit of the first, middle and last candidate of a list that was scored as a whole, as it was published.",
            LOGIT_BUCKETS,
            candidate=PLACES,
        )
        self.build = Info("rerank_build", "What runs here.", registry=new)

    def name_build(self, version: str, model: ModelName, device: str, dtype: str) -> None:
        """Fill build_info, once the model is known."""
        self.build.info(
            {"version": version, "model": model.id, "revision": model.revision}
            | {"device": device, "dtype": dtype, "python": platform.python_version()}
        )

    def show_gpu(self, device: str, utilization: Ask, memory_used: Ask, memory_total: Ask) -> None:
        """Begin the series of a GPU, which is asked whenever the metrics are read."""
        self.gpu_utilization.labels(device).set_function(utilization)
        self.gpu_memory_used.labels(device).set_function(memory_used)
        self.gpu_memory_total.labels(device).set_function(memory_total)
