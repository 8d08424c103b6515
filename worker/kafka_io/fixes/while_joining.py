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

from kafka import errors as kafka_errors
from kafka.protocol.consumer import LeaveGroupRequest, OffsetCommitRequest

if TYPE_CHECKING:
    from worker.kafka_io.fixes.rejoin import Joins

_JOIN_S = 0.02  # a join is taken up inside `poll`, and takes it a moment to be


class WhileJoining:
    """Receives and commits for one KafkaConsumer, whose coordinator and connections it changes."""

    def __init__(self, consumer: Any, joins: Joins) -> None:
        self._client = consumer
        self._joins = joins
        self._coordinator = consumer._coordinator  # noqa: SLF001 - the client has no hook for this
        self._commit_when_stable = self._coordinator._send_offset_commit_request  # noqa: SLF001
        self._coordinator._send_offset_commit_request = self._commit  # noqa: SLF001
        self._manager = consumer._manager  # noqa: SLF001
        self._send = self._manager.send
        self._manager.send = self._send_or_leave_beside

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

    async def _commit(self, offsets: Any) -> None:
        """Commit as the client does, or in the generation that a join will end. On the client's IO thread.

        What the group says of the latter changes nothing of the member: the join tells it what has become of it.
        """
        before = self._joins.left_behind()
        if before is None or self._coordinator.coordinator_id is None:
            await self._commit_when_stable(offsets)
            return
        request = OffsetCommitRequest(
            max_version=8,
            group_id=self._coordinator.group_id,
            generation_id_or_member_epoch=before.generation_id,
            member_id=before.member_id,
            group_instance_id=self._coordinator.group_instance_id,
            topics=_by_topic(offsets),
        )
        try:
            answer = await self._send(request, node_id=self._beside(self._coordinator.coordinator_id))
        except kafka_errors.KafkaError as error:
            raise kafka_errors.RebalanceInProgressError(str(error)) from error
        for _, partitions in answer.topics:
            for _, code in partitions:
                if code:
                    raise kafka_errors.RebalanceInProgressError(kafka_errors.for_code(code).__name__)

    def _send_or_leave_beside(self, request: Any, node_id: Any = None, request_timeout_ms: Any = None) -> Any:
        if isinstance(request, LeaveGroupRequest) and self._joins.under_way:
            node_id = self._beside(node_id)
        return self._send(request, node_id=node_id, request_timeout_ms=request_timeout_ms)

    def _beside(self, node_id: Any) -> Any:
        """Return the name of another connection to this node, as the client names those to coordinators."""
        nodes = self._manager.cluster._coordinator_brokers  # noqa: SLF001
        node, name = nodes[node_id], f"{node_id}-beside"
        nodes[name] = type(node)(name, node.host, node.port, None)
        return name


def _by_topic(offsets: Any) -> list[Any]:
    """Return offsets, by the client's names of partitions, as the request has them."""
    topic_of = OffsetCommitRequest.OffsetCommitRequestTopic
    partition_of = topic_of.OffsetCommitRequestPartition
    found: dict[str, list[Any]] = {}
    for name, offset in offsets.items():
        partition = partition_of(
            partition_index=name.partition,
            committed_offset=offset.offset,
            committed_leader_epoch=offset.leader_epoch,
            committed_metadata=offset.metadata,
        )
        found.setdefault(name.topic, []).append(partition)
    return [topic_of(name=topic, partitions=partitions) for topic, partitions in found.items()]
