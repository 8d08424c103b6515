"""The offsets that the group has committed: a member commits them, and reads them back."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from kafka import OffsetAndMetadata, TopicPartition
from kafka import errors as kafka_errors

from worker.kafka_io.errors import running_trouble

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from worker.kafka_io.options import KafkaOptions
    from worker.records import Partition

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


@contextmanager
def _explained(options: KafkaOptions) -> Iterator[None]:
    """Raise what a failed commit means: CommitRefused where the worker may go on, StopError where it may not."""
    try:
        yield
    except (kafka_errors.CommitFailedError, kafka_errors.RebalanceInProgressError) as error:
        raise CommitRefused(str(error)) from error
    except kafka_errors.KafkaTimeoutError as error:
        raise CommitRefused(f"no answer within {_COMMIT_WITHIN_S:g} s") from error
    except kafka_errors.KafkaError as error:
        if error.retriable:  # the client tries again, but not where it looks for the group's coordinator
            raise CommitRefused(f"{type(error).__name__}: {error}") from error
        raise running_trouble(error, options) from error


class PendingCommit:
    """A commit that was sent, and whose answer nobody waits for."""

    def __init__(self, future: Any, options: KafkaOptions) -> None:
        self._future = future
        self._options = options

    @property
    def answered(self) -> bool:
        """Whether the broker has answered, or the client has given up after its request timeout of 30 s."""
        return bool(self._future.is_done)

    def check(self) -> None:
        """Look at the answer. Raises CommitRefused where the worker may go on, StopError where it may not."""
        if self._future.failed():
            with _explained(self._options):
                raise self._future.exception


class GroupOffsets:
    """The committed offsets of the group that one KafkaConsumer is in.

    At most one commit is on its way, so that no earlier one can overtake a later one.
    """

    def __init__(self, client: Any, options: KafkaOptions) -> None:
        self._client = client
        self._coordinator = client._coordinator  # noqa: SLF001 - the client's own methods wait for the coordinator
        self._manager = client._manager  # noqa: SLF001
        self._options = options
        self._pending: Any = None  # the future of the commit that was begun last

    def begin_commit(self, offsets: Mapping[Partition, int]) -> PendingCommit:
        """Send a commit without waiting for its answer. Look at the answer of the one before it first.

        It is refused where a join has changed the member's place in the group before it is sent. Raises RuntimeError
        while another commit is on its way.
        """
        if self._pending is not None and not self._pending.is_done:
            raise RuntimeError("a commit is on its way already")
        place = self._coordinator.generation_if_stable()
        self._pending = self._manager.call_soon(self._send, for_client(offsets), place)
        return PendingCommit(self._pending, self._options)

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit within a few seconds, after the answer to a commit that is on its way.

        Raises CommitRefused where the worker may go on, StopError where it may not.
        """
        give_up_s = time.monotonic() + _COMMIT_WITHIN_S
        with _explained(self._options):
            self._await_pending(give_up_s)
            left_ms = max(1, int((give_up_s - time.monotonic()) * 1000))
            self._client.commit(for_client(offsets), timeout_ms=left_ms)

    async def _send(self, offsets: Any, place: Any) -> None:
        """Send it, on the client's IO thread: nothing comes between the look at the place and the request.

        The place is None while a join is under way: the group takes it in the generation that the join will end
        (worker.kafka_io.fixes.while_joining), or refuses it.
        """
        if self._coordinator.generation_if_stable() is not place:
            raise kafka_errors.RebalanceInProgressError("the member has another place in the group by now")
        await self._coordinator._send_offset_commit_request(offsets)  # noqa: SLF001 - one try, which this one waits for

    def _await_pending(self, give_up_s: float) -> None:
        """Wait until no commit is on its way. Raises the client's time-out where there is no answer by then."""
        if self._pending is None or self._pending.is_done:
            return
        left_ms = max(1, int((give_up_s - time.monotonic()) * 1000))
        try:
            self._client._net.run(self._manager.wait_for, self._pending, left_ms)  # noqa: SLF001
        except kafka_errors.KafkaError:
            if not self._pending.is_done:
                raise  # how it ended is for whoever began it

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
