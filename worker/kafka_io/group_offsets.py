"""The offsets that the group has committed: a member commits them, and reads them back."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors

from worker.kafka_io.errors import running_trouble

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.jobs import Partition
    from worker.kafka_io.options import KafkaOptions

_COMMIT_WITHIN_S = 5.0
_READ_WITHIN_S = 20.0  # a broker that has just started loads the group first
RETRY_S = 0.1  # after an error that may pass: the client raises some at once, again and again


class CommitRefused(Exception):  # noqa: N818 - it is the group's word, and the worker goes on
    """The offsets were not committed and will be read again, unless a later commit covers them.

    The group is rebalancing, has gone on without this member, or could not be asked in time.
    """


def for_client(offsets: Mapping[Partition, int]) -> dict[Any, Any]:
    """Return the next offset to read of each partition as the client takes it."""
    return {TopicPartition(*partition): OffsetAndMetadata(offset, "", -1) for partition, offset in offsets.items()}


class GroupOffsets:
    """The committed offsets of the group that one KafkaConsumer is in."""

    def __init__(self, client: Any, options: KafkaOptions) -> None:
        self._client = client
        self._options = options

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit within a few seconds. Raises CommitRefused where the worker may go on, StopError where it may not."""
        try:
            self._client.commit(for_client(offsets), timeout_ms=int(_COMMIT_WITHIN_S * 1000))
        except (kafka_errors.CommitFailedError, kafka_errors.RebalanceInProgressError) as error:
            raise CommitRefused(str(error)) from error
        except kafka_errors.KafkaTimeoutError as error:
            raise CommitRefused(f"no answer within {_COMMIT_WITHIN_S:g} s") from error
        except kafka_errors.KafkaError as error:
            if error.retriable:  # the client tries again, but not where it looks for the group's coordinator
                raise CommitRefused(f"{type(error).__name__}: {error}") from error
            raise running_trouble(error, self._options) from error

    def committed(self, names: list[Any]) -> Any:
        """Return what is committed of partitions, all by the client's names for them.

        Raises StopError where the broker does not say within 20 s.
        """
        give_up_s = time.monotonic() + _READ_WITHIN_S
        while True:
            left_ms = max(1, int((give_up_s - time.monotonic()) * 1000))
            try:
                # Not committed(), which asks for one partition at a time.
                return self._client._coordinator.fetch_committed_offsets(names, timeout_ms=left_ms)  # noqa: SLF001
            except kafka_errors.KafkaError as error:
                if not error.retriable or time.monotonic() >= give_up_s:
                    raise running_trouble(error, self._options) from error
                time.sleep(RETRY_S)
