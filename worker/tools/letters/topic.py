"""Reads the dead-letter topic up to where it ends now, and keeps how far a replay came."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Self

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from worker.exits import Exit, StopError
from worker.jobs import Partition
from worker.kafka_io.bounded_poll import BoundedPoll
from worker.kafka_io.connect import connect
from worker.kafka_io.errors import running_trouble
from worker.kafka_io.group_offsets import for_client
from worker.tools.tail import partitions_of

if TYPE_CHECKING:
    from worker.jobs import Record
    from worker.kafka_io import KafkaOptions
    from worker.tools.letters.choice import Choice

_SILENCE_S = 30.0  # the client would wait for a broker that is away for ever
_COMMIT_WITHIN_MS = 10_000


class LetterTopic:
    """The dead-letter topic up to where it ends when it is opened, or the offsets of it that were chosen.

    A little of what is written meanwhile may be received with the last records. For one thread.
    """

    def __init__(
        self, options: KafkaOptions, choice: Choice, *, progress_group: str | None = None, from_beginning: bool = True
    ) -> None:
        """Begin where the progress group came to, or at the beginning.

        Raises StopError where the brokers cannot be reached, or the topic is missing or may not be read.
        """
        # What goes wrong is said in terms of what is read here.
        self._options = dataclasses.replace(
            options, request_topic=options.dead_letter_topic, group_id=progress_group or options.group_id
        )
        self._client: Any = connect(
            KafkaConsumer,
            options,
            group_id=progress_group,
            client_id="rerank-letters",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",  # a dead letter of an aborted transaction is written again
            allow_auto_create_topics=False,
            metrics_enabled=False,
        )
        self._bounded = BoundedPoll(self._client, options)
        self._progress: dict[Partition, int] = {}
        try:
            self._ends = self._seek(choice, from_beginning=from_beginning, has_progress=progress_group is not None)
        except KafkaError as error:
            self.close()
            raise running_trouble(error, self._options) from error
        except BaseException:
            self.close()
            raise
        self.partitions = frozenset(self._ends)
        self._silent_s = 0.0

    @property
    def ended(self) -> bool:
        """Whether everything was received."""
        return not self._ends

    def poll(self, timeout_s: float = 0.2) -> list[Record]:
        """Return what comes next, in each partition's order; [] after `timeout_s` seconds. Raises StopError.

        One that is `corrupt` or `refused` stands for those that cannot be read, or would take too much memory.
        """
        try:
            records = self._bounded.poll(timeout_s)
            self._silent_s = 0.0 if records else self._silent_s + timeout_s
            # By position: what ends a transaction has an offset too, and is no record.
            for partition, end in list(self._ends.items()):
                if self._client.position(TopicPartition(*partition)) >= end:
                    self._client.pause(TopicPartition(*partition))
                    del self._ends[partition]
        except StopError as error:  # not known where reading goes on
            raise StopError(error.code, f"{error}; --partition and --offsets lead past it") from error
        except KafkaError as error:
            raise running_trouble(error, self._options) from error
        if not self.ended and self._silent_s > _SILENCE_S:
            servers, topic = self._options.bootstrap_servers, self._options.dead_letter_topic
            raise StopError(Exit.UNREACHABLE, f"{servers}: nothing of {topic} came for {_SILENCE_S:.0f} s")
        return records

    def commit(self, offsets: dict[Partition, int]) -> None:
        """Keep the next offset to read of each partition for the progress group, where it is further than before.

        What was read again from the beginning moves nothing back: all up to the progress has been dealt with. Raises
        StopError.
        """
        further = {
            partition: offset for partition, offset in offsets.items() if offset > self._progress.get(partition, 0)
        }
        if not further:
            return
        try:
            self._client.commit(for_client(further), timeout_ms=_COMMIT_WITHIN_MS)
        except KafkaError as error:
            raise running_trouble(error, self._options) from error
        self._progress |= further

    def _seek(self, choice: Choice, *, from_beginning: bool, has_progress: bool) -> dict[Partition, int]:
        """Go to the first offset of each partition, and return where each that has something ends."""
        topic = self._options.dead_letter_topic
        names = partitions_of(self._client, topic, self._options)
        if choice.partition is not None:
            names = [name for name in names if name.partition == choice.partition]
            if not names:
                raise StopError(Exit.USAGE, f"--partition: topic {topic} has no partition {choice.partition}")
        if has_progress:
            self._progress = {Partition(*name): self._client.committed(name) or 0 for name in names}
        begins, ends = self._client.beginning_offsets(names), self._client.end_offsets(names)
        spans = {}
        for name in names:
            begin, end = begins[name], ends[name]
            if not from_beginning:
                begin = max(begin, self._progress.get(Partition(*name), 0))
            begin = max(begin, choice.first or 0)
            end = end if choice.last is None else min(end, choice.last + 1)
            if begin < end:
                spans[name] = (begin, end)
        self._client.assign(list(spans))
        for name, (begin, _) in spans.items():
            self._client.seek(name, begin)
        return {Partition(name.topic, name.partition): end for name, (_, end) in spans.items()}

    def __enter__(self) -> Self:
        """Return itself; `close` comes at the end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connections."""
        self.close()

    def close(self) -> None:
        """Close the connections. May be called twice."""
        self._client.close(autocommit=False)
