"""A producer for one transaction after the other, which trusts nothing that the client says after an error.

The traps of kafka-python 3.0.12 that it is built around: a commit waits for ever; an error of a record may leave the
transaction open and the commit succeed; offsets of an aborted transaction may go into the next one. So every
acknowledgement is looked at first, every wait has an end, and after an error there is no way on but a new producer.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, NoReturn

from kafka import errors as kafka_errors

from worker.exits import Exit, StopError
from worker.kafka_io.errors import forbidden, running_trouble
from worker.kafka_io.group_offsets import for_client
from worker.kafka_io.producer_base import KeyWanted, ProducerBase

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from worker.kafka_io.options import KafkaOptions
    from worker.records import Partition

log = logging.getLogger(__name__)

# The first request of a transaction meets the broker still finishing the last one, and waits for this long before it is
# tried again: with the client's 100 ms, one transaction takes more than that.
_RETRY_BACKOFF_MS = 5
_ABORT_WITHIN_S = 2.0
_REFUSED_WITHIN_S = 1.0  # the client's thread says which record it was in a moment
_DESCRIBE_TRANSACTIONS = 65  # the number of the request, since Apache Kafka 3.0

_FENCED = (kafka_errors.ProducerFencedError, kafka_errors.InvalidProducerEpochError)


class TransactionFailed(Exception):  # noqa: N818 - the owner of the transactions starts over
    """The transaction was not committed, or nobody knows; the producer cannot be used any more."""


class KeyWantedInTransaction(TransactionFailed):
    """The transaction failed, since this topic refuses records without a key."""

    def __init__(self, topic: str) -> None:
        super().__init__(str(KeyWanted(topic)))
        self.topic = topic


class TransactionalProducer(ProducerBase):
    """A producer with a transactional id; an earlier one with the same id is fenced, and its transaction ended.

    `limits` as for a ProducerBase. Raises StopError if the broker gives none. Its methods raise TransactionFailed, or
    StopError if a new producer would not help. For one thread; another may `close` it.
    """

    def __init__(
        self, options: KafkaOptions, *, transactional_id: str, timeout_s: float, limits: Mapping[str, int]
    ) -> None:
        super().__init__(
            options,
            limits,
            delivery_timeout_s=min(timeout_s, options.delivery_timeout_s),  # the broker waits no longer than that
            transactional_id=transactional_id,
            transaction_timeout_ms=int(timeout_s * 1000),
            retry_backoff_ms=_RETRY_BACKOFF_MS,
        )
        self._id = transactional_id
        self._timeout_s = timeout_s
        self._futures: list[tuple[str, Any]] = []  # and the topic of each
        self._identity: Any = None  # of the open transaction's producer
        try:
            self._check_broker()
            self._client.init_transactions()
        except Exception as error:
            self.close()
            raise self._stop(error) from error

    def send(
        self, topic: str, key: bytes | None, value: bytes | None, headers: Iterable[tuple[str, bytes | None]]
    ) -> None:
        """Send a record within the open transaction; the first one opens it. Raises RecordTooLarge too."""
        try:
            if self._identity is None:
                self._client.begin_transaction()
                self._identity = self._manager.producer_id_and_epoch
            self._futures.append((topic, self._hand_over(topic, key, value, headers)))
        except (kafka_errors.KafkaError, ValueError, TypeError) as error:
            self._fail(error)

    def settle(self) -> None:
        """Wait until every record of the transaction is acknowledged."""
        give_up_s = time.monotonic() + self._timeout_s
        try:
            for _, future in self._futures:
                future.get(max(0.0, give_up_s - time.monotonic()))
        except kafka_errors.KafkaError as error:
            self._fail(error)
        self._futures.clear()

    def commit(self, offsets: Mapping[Partition, int], group: Any) -> None:
        """Commit the open transaction, with the next offsets to read, for a member at this place in the group."""
        self.settle()
        try:
            self._wait(self._manager.send_offsets_to_transaction(for_client(offsets), group))
            self._wait(self._manager.begin_commit())
            if self._manager.producer_id_and_epoch != self._identity:
                raise TransactionFailed("the client has changed its identity, which aborts a transaction in silence")  # noqa: TRY301 - one way out
        except (kafka_errors.KafkaError, TransactionFailed) as error:
            self._fail(error)
        self._identity = None

    def close(self, timeout_s: float = _ABORT_WITHIN_S) -> None:
        """Abort what is open, and end the client's thread; the client's own close would leave readers waiting."""
        if self._identity is not None:
            try:
                self._wait(self._manager.begin_abort(), timeout_s)
            except (kafka_errors.KafkaError, TransactionFailed) as error:
                log.info(
                    "the open transaction could not be aborted; the next producer does it: %(error)s",
                    {"error": error},
                    extra={"event": "transaction_left_open"},
                )
            self._identity = None
        super().close(timeout_s)

    @property
    def _manager(self) -> Any:
        return self._client._transaction_manager  # noqa: SLF001 - the client's own methods wait without an end

    def _wait(self, result: Any, timeout_s: float | None = None) -> None:
        within_s = self._timeout_s if timeout_s is None else timeout_s
        self._client._sender.wakeup()  # noqa: SLF001
        if not result.wait(within_s * 1000):
            raise TransactionFailed(f"no answer within {within_s:g} s")

    def _check_broker(self) -> None:
        versions = self._client._sender._client._manager.broker_version_data.api_versions  # noqa: SLF001
        if _DESCRIBE_TRANSACTIONS not in versions:
            raise StopError(
                Exit.USAGE,
                f"{self._options.bootstrap_servers}: the broker has no transactions (Apache Kafka has, from 3.0 on); "
                "use --delivery at-least-once",
            )

    def _fail(self, error: Exception) -> NoReturn:
        """Raise what an error means: StopError where a new producer would not help."""
        if (topic := self._key_wanted_by(error)) is not None:
            raise KeyWantedInTransaction(topic) from error
        for cause in (error, self._manager.last_error):
            if isinstance(cause, Exception) and isinstance(stop := self._explained(cause), StopError):
                raise stop from error
        raise TransactionFailed(f"{type(error).__name__}: {error}") from error

    def _key_wanted_by(self, error: Exception) -> str | None:
        """Return the topic that has refused a record of the transaction because it has no key; None without one."""
        if not any(isinstance(each, kafka_errors.InvalidRecordError) for each in (error, self._last_error)):
            return None
        give_up_s = time.monotonic() + _REFUSED_WITHIN_S
        for topic, future in self._futures:
            # Others may fail before it: in its batch, and what is not sent any more because of it.
            try:
                future.get(max(0.0, give_up_s - time.monotonic()))
            except kafka_errors.KafkaError as found:
                if self._wants_key(topic, found):
                    return topic
        return None

    def _stop(self, error: Exception) -> StopError:
        explained = self._explained(error)
        if isinstance(explained, StopError):
            return explained
        return running_trouble(error, self._options, topics=self._topics, topic_operation="Write")

    def _explained(self, error: Exception) -> Exception:
        if isinstance(error, _FENCED):
            return StopError(
                Exit.FENCED,
                f"transactional id {self._id} was taken: another process uses it (each replica needs its own, see "
                f"--transactional-id), or this one stood still for longer than {self._timeout_s:g} s "
                "(transaction_timeout_s); what was not committed is read again",
            )
        if isinstance(error, kafka_errors.TransactionalIdAuthorizationFailedError):
            return forbidden(self._options, "Write", f"transactional id {self._id}")
        if isinstance(error, kafka_errors.GroupAuthorizationFailedError | kafka_errors.FencedInstanceIdError):
            return running_trouble(error, self._options)
        return super()._explained(error)
