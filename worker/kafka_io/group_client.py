"""Connects a client as a member of the consumer group that commits by itself what it has done."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kafka import KafkaConsumer
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor

from worker.kafka_io.connect import connect

if TYPE_CHECKING:
    from worker.kafka_io.options import IsolationLevel, KafkaOptions

# Members learn of a rebalance with a heartbeat, so a short interval makes rebalances short; one costs next to nothing.
_HEARTBEAT_S = 0.5
# In a session at least: whatever keeps the client's thread from sending one, it has to keep it from all of these.
_HEARTBEATS = 6
# Of what a join waits for, beside a hand-over: to hear of it with a heartbeat, to commit and to poll.
_HEAR_S = 2.0


def connect_group_client(options: KafkaOptions, isolation_level: IsolationLevel, hand_over_s: float) -> Any:
    """Return a KafkaConsumer that is connected, and has not subscribed to anything yet. Raises as `connect` does.

    `hand_over_s` is how long this member may take to give partitions up, in seconds.
    """
    session_ms = int(options.session_timeout_s * 1000)
    client: Any = connect(
        KafkaConsumer,
        options,
        group_id=options.group_id,
        group_instance_id=options.group_instance_id,
        client_id="rerank-worker",
        # The class: an instance that two consumers share mixes up who owns what.
        partition_assignment_strategy=[CooperativeStickyAssignor],
        enable_auto_commit=False,
        # Of an offset that is no more: what is still there was never read. `latest` is for InitialOffsets.
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=int(min(_HEARTBEAT_S * 1000, session_ms / _HEARTBEATS)),
        max_poll_interval_ms=int(options.max_poll_interval_s * 1000),
        fetch_max_wait_ms=int(options.fetch_wait_s * 1000),
        isolation_level=isolation_level,
        metrics_enabled=False,  # no deserializers either: a raising one would make poll spin
    )
    # kafka-python 3.0.12 has one setting for two times: how long a member may go without polling, of which its
    # heartbeats keep a copy, and how long a join waits for it. One that hangs would hold up all of them for so long.
    client._coordinator.config["max_poll_interval_ms"] = int(join_timeout_s(options, hand_over_s) * 1000)  # noqa: SLF001
    return client


def join_timeout_s(options: KafkaOptions, hand_over_s: float) -> float:
    """Return how long a join of the group waits for this member, in seconds: the session, in which a hand-over fits."""
    return min(max(options.session_timeout_s, hand_over_s + _HEAR_S), options.max_poll_interval_s)
