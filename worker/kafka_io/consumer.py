"""Reads raw records from the request topic as a member of a consumer group. For one thread, the main one."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, Self

from kafka import TopicPartition
from kafka import errors as kafka_errors

from worker.kafka_io.errors import running_trouble
from worker.kafka_io.fixes.absent_coordinator import read_without_coordinator
from worker.kafka_io.fixes.corruption import Corruption, PollIsFullError
from worker.kafka_io.fixes.rejoin import Joins
from worker.kafka_io.fixes.static_member import StaticMember
from worker.kafka_io.fixes.while_joining import WhileJoining
from worker.kafka_io.group_client import connect_group_client
from worker.kafka_io.group_offsets import RETRY_S, CommitRefused, GroupOffsets
from worker.kafka_io.initial_offsets import InitialOffsets
from worker.kafka_io.killed_members import MemberFile, dead_members, folder_of, remove_from_group
from worker.kafka_io.membership import Membership
from worker.kafka_io.position_jumps import PositionJump, PositionJumps
from worker.kafka_io.readable_since import ReadableSince
from worker.kafka_io.rebalance import HandOver, Listener, Rebalance
from worker.kafka_io.received import record_of
from worker.kafka_io.unpacking.refusals import USUAL_VALUE_BYTES, Bounds
from worker.kafka_io.watermarks import Watermarks
from worker.records import Partition

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager

    from worker.kafka_io.group_offsets import PendingCommit
    from worker.kafka_io.options import IsolationLevel, KafkaOptions
    from worker.offsets.lag import Watermark
    from worker.records import Record

log = logging.getLogger(__name__)

_CLOSE_WITHIN_S = 5.0


class Consumer:
    """A member of the group: polls, pauses, commits, and tells what happens to its partitions.

    No method may be called from another thread, except `joined` and `membership`. With `read_committed`, only what was
    committed is read, and a partition whose last owner has a transaction open is not begun before that has ended. Of a
    record that came compressed and has more than `record_bytes`, and a MiB for key and headers, the value is dropped.
    `hand_over_s` is how long it may take to give partitions up, for which a join of the group has to wait.
    """

    def __init__(
        self,
        options: KafkaOptions,
        *,
        isolation_level: IsolationLevel = "read_uncommitted",
        record_bytes: int = USUAL_VALUE_BYTES,
        hand_over_s: float = 0.0,
    ) -> None:
        self._options = options
        self._failed = False
        self._partitions: dict[Any, Partition] = {}  # the client's name of a partition -> ours
        self._listener = Listener(self._hand_over, self._pause_new)
        self._client: Any = connect_group_client(options, isolation_level, hand_over_s)
        self._joins = Joins(self._client)
        self._while_joining = WhileJoining(self._client, self._joins)
        read_without_coordinator(self._client)
        self._corruption = Corruption(self._client, Bounds.of_value(record_bytes))
        self._static = StaticMember(self._client)
        self._jumps = PositionJumps(self._client)
        if options.auto_offset_reset == "latest":
            InitialOffsets(self._client)
        self._places = Watermarks(self._client)
        self._past_ends = ReadableSince(self._client)
        self._offsets = GroupOffsets(self._client, options)
        folder = folder_of(options) if options.group_instance_id is None else None
        if folder is not None:
            remove_from_group(self._client, options.group_id, list(dead_members(folder)))
        self._member_file = MemberFile(folder)
        self._membership = Membership(self._client, self._joins, self._member_file)
        self._client.subscribe([options.request_topic], listener=self._listener)

    def __enter__(self) -> Self:
        """Return itself; `close` comes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @property
    def joined(self) -> bool:
        """Whether the group was joined, and has not thrown the member out since. Any thread may ask."""
        return self._membership.joined

    def poll(self, timeout_s: float, max_records: int) -> list[Record]:
        """Return up to `max_records` records, each partition's in order; [] after `timeout_s` seconds or a revocation.

        Where some cannot be read, one that is `corrupt` stands for them; behind it come those that can be read again.
        One that is `refused` is no event, and may stand for several. Fewer come where they are large.
        Ask `rebalances()` before looking at the records: they belong to what those say. While the group is being joined
        it may take 20 ms where `timeout_s` is less. Raises StopError where the client failed for good; it must not be
        polled again then, since it would spin for ever.
        """
        if self._failed:
            raise RuntimeError("poll after an error: the client would never return")
        try:
            with self._membership.followed():
                self._corruption.begin_poll()
                self._static.check()
                fetched = self._while_joining.poll(timeout_s, max_records)
                self._check_topic()
        except kafka_errors.KafkaError as error:
            self._get_over(error)
            return []
        return [record_of(self._partition(name), one) for name, received in fetched.items() for one in received]

    def rebalances(self) -> list[Rebalance]:
        """Return what happened to the partitions since the last call, in order."""
        happened = self._listener.happened
        return [happened.popleft() for _ in range(len(happened))]

    def jumps(self) -> list[PositionJump]:
        """Return where reading went on elsewhere than it had come to since the last call, in order."""
        happened = self._jumps.happened
        return [happened.popleft() for _ in range(len(happened))]

    def pause_all(self) -> None:
        """Receive nothing until `resume_all`, from partitions that come meanwhile either. May be called twice."""
        if not self._places.paused:
            self._places.paused_s = time.monotonic()
            self._client.pause(*self._client.assignment())

    def resume_all(self) -> None:
        """Receive again. May be called twice."""
        if self._places.paused:
            self._places.paused_s = None
            self._client.resume(*self._client.paused())

    def begin_commit(self, offsets: dict[Partition, int]) -> PendingCommit:
        """Send a commit of the next offset to read of each partition, and return without waiting for the answer.

        One at a time: raises RuntimeError while another is on its way.
        """
        return self._offsets.begin_commit(offsets)

    def commit(self, offsets: dict[Partition, int]) -> None:
        """Commit the next offset to read of each partition, within a few seconds, behind one that is on its way.

        Raises CommitRefused where the worker may go on, StopError where it may not.
        """
        self._offsets.commit(offsets)

    def membership(self) -> AbstractContextManager[Any]:
        """Give the member's place in the group, for a transaction; None while it has none. See Membership."""
        return self._membership.held()

    def rewind(self, offsets: dict[Partition, int]) -> None:
        """Read partitions again from what is committed, or from these offsets where nothing is.

        Raises StopError where the broker does not say within 20 s.
        """
        names = {
            name: offsets[partition]
            for name in self._client.assignment()
            if (partition := self._partition(name)) in offsets
        }
        known = self._offsets.committed(list(names))
        for name, offset in names.items():
            self._jumps.seek(name, known[name].offset if name in known else offset)

    def places(self) -> dict[Partition, Watermark]:
        """Return how far each partition was received, and where it ends by what the broker has said last.

        Where no fetch says so, because all are paused, the broker is asked now and then; this does not wait for it.
        """
        return {self._partition(name): place for name, place in self._places.look(time.monotonic()).items()}

    def readable_since_s(self, record: Record) -> float | None:
        """Return a time before which a record that was just received was not readable; None where that is not known.

        It is of the monotonic clock, and a lower bound: the record may have come later.
        """
        partition = record.partition
        return self._past_ends.readable_since_s(TopicPartition(partition.topic, partition.number), record.offset)

    def asked_to_stop(self) -> None:
        """Let `close` leave the group also where the member has a `group_instance_id`, unless `on_stop` says stay.

        To be called when all that is in hand was finished, and only where the worker ends because it was asked to: one
        that fails is started again, and goes on with its partitions.
        """
        if self._options.group_instance_id is not None and self._options.on_stop == "leave":
            self._static.leave_on_close()

    def close(self) -> None:
        """Leave the group, so that others take over at once; commit before. May be called twice.

        A member with a `group_instance_id` stays one, unless it was `asked_to_stop`: its partitions wait for it until
        its session ends.
        """
        self._listener.closing = True
        try:
            self._client.close(autocommit=False, timeout_ms=int(_CLOSE_WITHIN_S * 1000))
        except kafka_errors.KafkaError as error:
            # The group will notice by itself; why the worker ends must not be hidden.
            log.warning("could not leave the group: %(error)s", {"error": error}, extra={"event": "group_not_left"})
        finally:
            self._member_file.close()

    def _get_over(self, error: Any) -> None:
        """Go on after what ended a poll, or raise the StopError that it amounts to."""
        if isinstance(error, PollIsFullError) or isinstance(error.__cause__, HandOver):
            return
        if error.retriable:
            log.warning("poll: %(error)s", {"error": error}, extra={"event": "poll_failed"})
            time.sleep(RETRY_S)
            return
        self._failed = True
        raise running_trouble(error, self._options) from error

    def _check_topic(self) -> None:
        """Raise for a topic that became forbidden, of which the client only logs that it fetches no more."""
        if forbidden := self._client._cluster.unauthorized_topics:  # noqa: SLF001
            raise kafka_errors.TopicAuthorizationFailedError(forbidden)

    def _partition(self, name: Any) -> Partition:
        partition = self._partitions.get(name)
        if partition is None:
            partition = self._partitions[name] = Partition(name.topic, name.partition)
        return partition

    def _pause_new(self, names: Iterable[Any]) -> None:
        """Pause new partitions where all are paused. On the client's thread, while the main one waits in `poll`."""
        if self._places.paused:
            self._client.pause(*names)

    def _hand_over(self, offsets: dict[Partition, int]) -> bool:
        try:
            self.commit(offsets)
        except CommitRefused as error:
            log.warning(
                "could not commit what was handed over; its next owner repeats it: %(error)s",
                {"error": error},
                extra={"event": "hand_over_not_committed"},
            )
            return False
        return True
