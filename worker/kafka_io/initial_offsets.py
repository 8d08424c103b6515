"""Where a group that is to begin at the end begins, so that no request is lost before it has committed anything.

kafka-python goes to the end wherever nothing is committed, and the first commit comes with the first record that is
done: whoever takes the partition over before that begins at the end again, behind what came meanwhile. Here the place
is committed before a first record can be received. A partition without a commit, in a group that has committed another
one of the topic, was added later: it begins at its earliest record.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors
from kafka.protocol.consumer import OffsetSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

_WITHIN_MS = 2_000  # for each question to the brokers; what is not answered is asked again with the next poll
_BEGAN = "began with {count} partitions"
_BEGAN_WITH = re.compile(r"began with (\d+) partitions")


def is_added(number: int, committed: Mapping[int, str]) -> bool:
    """Return whether a partition came to a topic later than the group; `committed` is the metadata of its commits.

    Members that begin together see what the others have begun: such a commit says how many partitions there were then.
    """
    began = [_BEGAN_WITH.fullmatch(metadata or "") for metadata in committed.values()]
    return any(begin is None or number >= int(begin[1]) for begin in began)


class InitialOffsets:
    """The first positions of one KafkaConsumer whose group is to begin at the end; its subscription is changed."""

    def __init__(self, consumer: Any) -> None:
        self._consumer = consumer
        self._coordinator = consumer._coordinator  # noqa: SLF001 - the client has no hook for this
        self._subscription = consumer._subscription  # noqa: SLF001
        self._subscription.reset_missing_positions = self._begin

    def _begin(self) -> None:
        """Find positions for partitions without a commit, inside `poll`, before anything of them is fetched."""
        missing = self._subscription.missing_fetch_positions()
        try:
            for topic in {name.topic for name in missing}:
                self._begin_topic(topic, [name for name in missing if name.topic == topic])
        except kafka_errors.KafkaError as error:
            if not error.retriable and not _is_passing(error):
                raise

    def _begin_topic(self, topic: str, missing: list[Any]) -> None:
        numbers = self._consumer.partitions_for_topic(topic) or set()
        names = [TopicPartition(topic, number) for number in numbers | {name.partition for name in missing}]
        known = self._coordinator.fetch_committed_offsets(names, timeout_ms=_WITHIN_MS)
        metadata = {name.partition: committed.metadata for name, committed in known.items()}
        new = []
        for name in missing:
            if name in known:
                self._subscription.seek(name, known[name].offset)
            elif is_added(name.partition, metadata):
                self._subscription.request_offset_reset(name, OffsetSpec.EARLIEST)
            else:
                new.append(name)
        if new:
            ends = self._consumer.end_offsets(new, timeout_ms=_WITHIN_MS)
            said = _BEGAN.format(count=len(names))
            offsets = {name: OffsetAndMetadata(end, said, -1) for name, end in ends.items()}
            self._coordinator.commit_offsets_sync(offsets, timeout_ms=_WITHIN_MS)
            for name, end in ends.items():
                self._subscription.seek(name, end)


def _is_passing(error: kafka_errors.KafkaError) -> bool:
    """Return whether the next poll may do better: no answer in time, or a join is under way."""
    return isinstance(
        error, kafka_errors.KafkaTimeoutError | kafka_errors.CommitFailedError | kafka_errors.RebalanceInProgressError
    )
