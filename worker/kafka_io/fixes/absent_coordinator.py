"""Lets a member go on reading while nobody knows the coordinator of its group.

kafka-python 3.0.12 fetches nothing before it knows the coordinator, although a member that has its partitions needs
none to read them. Where the coordinator's broker stands still, `poll` would return nothing until another broker has
taken its place. The heartbeats, which are a task of their own, look for the new coordinator meanwhile.
"""

from typing import Any

from kafka.coordinator.base import MemberState


def read_without_coordinator(consumer: Any) -> None:
    """Have `poll` of a KafkaConsumer not wait for a coordinator while the member is stable and need not join."""
    coordinator = consumer._coordinator  # noqa: SLF001 - the client has no hook for this
    ensure = coordinator.ensure_coordinator_ready

    def ensure_where_needed(timeout_ms: float | None = None) -> bool:
        if coordinator.state is MemberState.STABLE and not coordinator.need_rejoin():
            return True
        return bool(ensure(timeout_ms=timeout_ms))

    coordinator.ensure_coordinator_ready = ensure_where_needed
