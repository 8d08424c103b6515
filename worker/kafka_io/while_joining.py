"""Lets a member go on with its partitions while a join of the group waits for others, or the group does not answer.

In a cooperative join a member keeps what it has until it has been told otherwise and has given it up in another join.
But kafka-python 3.0.12 fetches nothing while a join is under way or the group's coordinator is looked for, and refuses
to commit: one member that stands still would stop all of them. Here `poll` is followed by a fetch of its own.

A commit is taken by the group in the generation that the member still belongs to until all have joined; one that comes
later is refused, since it is of the old generation. The broker answers what comes over a connection one by one, and so
nothing behind a JoinGroup that waits: such a commit has a connection of its own, and so has what a member says that
leaves meanwhile.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from kafka.protocol.consumer import LeaveGroupRequest, OffsetCommitRequest

if TYPE_CHECKING:
    from worker.kafka_io.joins import Joins

_JOIN_S = 0.02  # a join is taken up inside `poll`, and takes it a moment to be


class WhileJoining:
    """Receives and commits for one KafkaConsumer, whose coordinator and connections it changes."""

    def __init__(self, consumer: Any, joins: Joins) -> None:
        self._client = consumer
        self._joins = joins
        self._coordinator = consumer._coordinator  # noqa: SLF001 - the client has no hook for this
        self._generation_if_stable = self._coordinator.generation_if_stable
        self._coordinator.generation_if_stable = self._generation
        self._manager = consumer._manager  # noqa: SLF001
        self._send = self._manager.send
        self._manager.send = self._send_beside

    def poll(self, timeout_s: float, max_records: int) -> Any:
        """Return what `poll` of the client does; while it fetches nothing, what comes of the member's partitions."""
        until_s = time.monotonic() + timeout_s
        wait_s = _JOIN_S if self._joins.under_way else timeout_s
        with self._joins.attended():
            fetched = self._client.poll(timeout_ms=int(wait_s * 1000), max_records=max_records)
        if fetched or not self._is_kept_waiting() or self._joins.is_thrown_out() or not self._client.assignment():
            return fetched
        left_ms = max(0, int((until_s - time.monotonic()) * 1000))
        fetcher = self._client._fetcher  # noqa: SLF001
        fetcher.reset_offsets_if_needed()
        fetcher.maybe_validate_positions()
        fetcher.validate_offsets_if_needed()
        return fetcher.fetch_records(max_records, timeout_ms=left_ms)[0]

    def _is_kept_waiting(self) -> bool:
        return self._joins.under_way or self._coordinator.coordinator_id is None

    def _generation(self) -> Any:
        """Return the generation to commit in; None where the member has none. On the client's IO thread."""
        return self._generation_if_stable() or self._joins.left_behind()

    def _send_beside(self, request: Any, node_id: Any = None, request_timeout_ms: Any = None) -> Any:
        commits = isinstance(request, OffsetCommitRequest) and self._joins.left_behind() is not None
        leaves = isinstance(request, LeaveGroupRequest) and self._joins.under_way
        if commits or leaves:
            node_id = self._beside(node_id)
        return self._send(request, node_id=node_id, request_timeout_ms=request_timeout_ms)

    def _beside(self, node_id: Any) -> Any:
        """Return the name of another connection to this node, as the client names those to coordinators."""
        nodes = self._manager.cluster._coordinator_brokers  # noqa: SLF001
        node, name = nodes[node_id], f"{node_id}-beside"
        nodes[name] = type(node)(name, node.host, node.port, None)
        return name
