"""Reads raw records from the request topic as a member of a consumer group. For one thread, the main one."""

from __future__ import annotations

import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors
from kafka.coordinator.assignors.cooperative_sticky import CooperativeStickyAssignor
from kafka.coordinator.base import MemberState

from worker.jobs import Corrupt, Partition, Record
from worker.kafka_io.connect import connect
from worker.kafka_io.corruption import Corruption
from worker.kafka_io.errors import running_trouble
from worker.kafka_io.joins import Joins
from worker.kafka_io.places import Places
from worker.kafka_io.rebalance import HandOver, Listener, Rebalance
from worker.kafka_io.static_member import StaticMember

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from worker.kafka_io.options import IsolationLevel, KafkaOptions
    from worker.lag import Place

log = logging.getLogger(__name__)

_COMMIT_WITHIN_S = 5.0
_CLOSE_WITHIN_S = 5.0
_REWIND_WITHIN_S = 20.0  # a broker that has just started loads the group first
_RETRY_S = 0.1  # after an error that may pass: the client raises some at once, again and again
# Members learn of a rebalance with a heartbeat, so a short interval makes rebalances short; one costs next to nothing.
_HEARTBEAT_S = 1.0
_JOIN_S = 0.05  # a join is taken up inside poll, and takes it a moment to be


class CommitRefused(Exception):  # noqa: N818 - it is the group's word, and the worker goes on
    """The offsets were not committed and will be read again, unless a later commit covers them.

    The group is rebalancing, has gone on without this member, or could not be asked in time.
    """


class Consumer:
    """A member of the group: polls, pauses, commits, and tells what happens to its partitions.

    No method may be called from another thread, except `joined` and `membership`. With `read_committed`, only what was
    committed is read, and a partition whose last owner has a transaction open is not begun before that has ended.
    """

    def __init__(self, options: KafkaOptions, *, isolation_level: IsolationLevel = "read_uncommitted") -> None:
        self._options = options
        self._paused = False
        self._joined = False
        self._failed = False
        self._partitions: dict[Any, Partition] = {}  # the client's name of a partition -> ours
        self._listener = Listener(self._hand_over, self._pause_new)
        session_ms = int(options.session_timeout_s * 1000)
        self._client: Any = connect(
            KafkaConsumer,
            options,
            group_id=options.group_id,
            group_instance_id=options.group_instance_id,
            client_id="rerank-worker",
            # The class: an instance that two consumers share mixes up who owns what.
            partition_assignment_strategy=[CooperativeStickyAssignor],
            enable_auto_commit=False,
            auto_offset_reset=options.auto_offset_reset,
            allow_auto_create_topics=False,
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=int(min(_HEARTBEAT_S * 1000, session_ms / 3)),
            max_poll_interval_ms=int(options.max_poll_interval_s * 1000),
            fetch_max_wait_ms=int(options.fetch_wait_s * 1000),
            isolation_level=isolation_level,
            metrics_enabled=False,  # no deserializers either: a raising one would make poll spin
        )
        self._joins = Joins(self._client)
        Corruption(self._client)
        self._static = StaticMember(self._client)
        self._places = Places(self._client)
        self._told_member = self._known_member = ""
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
        return self._joined and not self._joins.is_thrown_out()

    def poll(self, timeout_s: float, max_records: int) -> list[Record]:
        """Return up to `max_records` records, each partition's in order; [] after `timeout_s` seconds or a revocation.

        Where some cannot be read, one that is `corrupt` stands for them; behind it come those that can be read again.
        Ask `rebalances()` before looking at the records: they belong to what those say. While the group is being joined
        it may take 50 ms where `timeout_s` is less. Raises StopError where the client failed for good; it must not be
        polled again then, since it would spin for ever.
        """
        if self._failed:
            raise RuntimeError("poll after an error: the client would never return")
        self._known_member = self._told_member  # what came with the last poll was dealt with
        if self._joins.under_way:
            timeout_s = max(timeout_s, _JOIN_S)
        try:
            self._static.check()
            with self._joins.attended():
                fetched = self._client.poll(timeout_ms=int(timeout_s * 1000), max_records=max_records)
            self._check_topic()
        except kafka_errors.KafkaError as error:
            if isinstance(error.__cause__, HandOver):
                return []
            if error.retriable:
                log.warning("poll: %(error)s", {"error": error}, extra={"event": "poll_failed"})
                time.sleep(_RETRY_S)
                return []
            self._failed = True
            raise running_trouble(error, self._options) from error
        finally:
            self._told_member = self._client.group_metadata().member_id
        if not self._joined and not self._joins.under_way:
            self._joined = self._client.group_metadata().state == MemberState.STABLE
        return [_record(self._partition(name), one) for name, received in fetched.items() for one in received]

    def rebalances(self) -> list[Rebalance]:
        """Return what happened to the partitions since the last call, in order."""
        happened = self._listener.happened
        return [happened.popleft() for _ in range(len(happened))]

    def assignment(self) -> frozenset[Partition]:
        """Return the partitions that this member owns."""
        return frozenset(map(self._partition, self._client.assignment()))

    def pause_all(self) -> None:
        """Receive nothing until `resume_all`, from partitions that come meanwhile either. May be called twice."""
        if not self._paused:
            self._paused = True
            self._places.paused_s = time.monotonic()
            self._client.pause(*self._client.assignment())

    def resume_all(self) -> None:
        """Receive again. May be called twice."""
        if self._paused:
            self._paused = False
            self._places.paused_s = None
            self._client.resume(*self._client.paused())

    def commit(self, offsets: dict[Partition, int]) -> None:
        """Commit the next offset to read of each partition, within a few seconds.

        Raises CommitRefused where the worker may go on, StopError where it may not.
        """
        wanted = {
            TopicPartition(*partition): OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items()
        }
        try:
            self._client.commit(wanted, timeout_ms=int(_COMMIT_WITHIN_S * 1000))
        except (kafka_errors.CommitFailedError, kafka_errors.RebalanceInProgressError) as error:
            raise CommitRefused(str(error)) from error
        except kafka_errors.KafkaTimeoutError as error:
            raise CommitRefused(f"no answer within {_COMMIT_WITHIN_S:g} s") from error
        except kafka_errors.KafkaError as error:
            if error.retriable:  # the client tries again, but not where it looks for the group's coordinator
                raise CommitRefused(f"{type(error).__name__}: {error}") from error
            raise running_trouble(error, self._options) from error

    @contextmanager
    def membership(self) -> Iterator[Any]:
        """Give the member's place in the group, for a transaction; None while it has none. One thread may ask, any.

        Meanwhile no new join begins, so that no partition can leave. A member that was thrown out and has come back
        has no place before the next `poll`: until then nobody has been told which partitions were lost.
        """
        with self._joins.held() as settled:
            place = self._client.group_metadata()
            stable = place.state == MemberState.STABLE and place.member_id == self._known_member
            yield place if settled and stable else None

    def rewind(self, offsets: dict[Partition, int]) -> None:
        """Read partitions again from what is committed, or from these offsets where nothing is.

        Raises StopError where the broker does not say within 20 s.
        """
        names = {
            name: offsets[partition]
            for name in self._client.assignment()
            if (partition := self._partition(name)) in offsets
        }
        known = self._committed(list(names))
        for name, offset in names.items():
            self._client.seek(name, known[name].offset if name in known else offset)

    def _committed(self, names: list[Any]) -> Any:
        """Return what is committed of each partition; raises StopError where the broker does not say in time."""
        give_up_s = time.monotonic() + _REWIND_WITHIN_S
        while True:
            left_ms = max(1, int((give_up_s - time.monotonic()) * 1000))
            try:
                # Not committed(), which asks for one partition at a time.
                return self._client._coordinator.fetch_committed_offsets(names, timeout_ms=left_ms)  # noqa: SLF001
            except kafka_errors.KafkaError as error:
                if not error.retriable or time.monotonic() >= give_up_s:
                    raise running_trouble(error, self._options) from error
                time.sleep(_RETRY_S)

    def places(self) -> dict[Partition, Place]:
        """Return how far each partition was received, and where it ends by what the broker has said last.

        Where no fetch says so, because all are paused, the broker is asked now and then; this does not wait for it.
        """
        return {self._partition(name): place for name, place in self._places.look(time.monotonic()).items()}

    def close(self) -> None:
        """Leave the group, so that others take over at once; commit before. May be called twice.

        A member with a `group_instance_id` stays one: its partitions wait for it until its session ends.
        """
        self._listener.closing = True
        try:
            self._client.close(autocommit=False, timeout_ms=int(_CLOSE_WITHIN_S * 1000))
        except (
            kafka_errors.KafkaError
        ) as error:  # the group will notice by itself; why the worker ends must not be hidden
            log.warning("could not leave the group: %(error)s", {"error": error}, extra={"event": "group_not_left"})

    def _check_topic(self) -> None:
        """Raise for a topic that became forbidden, of which the client only logs that it fetches no more."""
        forbidden = self._client._cluster.unauthorized_topics  # noqa: SLF001
        if forbidden:
            raise kafka_errors.TopicAuthorizationFailedError(forbidden)

    def _partition(self, name: Any) -> Partition:
        partition = self._partitions.get(name)
        if partition is None:
            partition = self._partitions[name] = Partition(name.topic, name.partition)
        return partition

    def _pause_new(self, names: Iterable[Any]) -> None:
        """Pause new partitions where all are paused. On the client's thread, while the main one waits in `poll`."""
        if self._paused:
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


def _record(partition: Partition, one: Any) -> Record:
    corrupt = one.value if isinstance(one.value, Corrupt) else None
    value = one.value if corrupt is None else None
    return Record(partition, one.offset, one.timestamp, one.key, value, tuple(one.headers), corrupt)
