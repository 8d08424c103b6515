"""A member of a group that a test turns by hand, as the main loop does."""

import time
from collections.abc import Callable

from worker.kafka_io import Consumer, Rebalance
from worker.records import Partition, Record

_PATIENCE_S = 60.0

Join = Callable[..., "Reader"]


class Reader:
    """Polls, follows the rebalances, and keeps what it received; `hand_over` answers a revocation."""

    def __init__(self, consumer: Consumer, hand_over: Callable[[Rebalance], object] | None = None) -> None:
        self.consumer = consumer
        self.owned: set[Partition] = set()
        self.records: list[Record] = []
        self.told: list[str] = []
        self._hand_over = hand_over or (lambda rebalance: rebalance.release({}))

    def turn(self, max_records: int = 500, timeout_s: float = 0.05) -> list[Record]:
        records = self.consumer.poll(timeout_s, max_records)
        for rebalance in self.consumer.rebalances():
            self.told.append(rebalance.kind)
            if rebalance.kind == "assigned":
                self.owned |= rebalance.partitions
            else:
                if rebalance.kind == "revoked":
                    self._hand_over(rebalance)
                self.owned -= rebalance.partitions
        strays = {record.partition for record in records} - self.owned
        assert not strays, f"received records of {strays} before they were assigned"
        self.records += records
        return records

    def next_offsets(self) -> dict[Partition, int]:
        return {record.partition: record.offset + 1 for record in self.records}


def owns_all(reader: Reader) -> Callable[[], bool]:
    """Say whether a reader owns both partitions of a topic that has two."""
    return lambda: len(reader.owned) == 2


def places(reader: Reader) -> dict[int, tuple[int, int]]:
    """Return how far each partition was received and where it ends, where both are known."""
    known = reader.consumer.places().items()
    return {
        partition.number: (place.position, place.end)
        for partition, place in known
        if place.position is not None and place.end is not None
    }


def turn_until(reached: Callable[[], bool], *readers: Reader) -> None:
    """Turn the readers until something is so; without readers, wait for it."""
    give_up_s = time.monotonic() + _PATIENCE_S
    while not reached():
        assert time.monotonic() < give_up_s, "what the test waits for did not happen"
        for reader in readers:
            reader.turn()
        if not readers:
            time.sleep(0.02)
