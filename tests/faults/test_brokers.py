"""Brokers that are killed, stand still, start again, hand their partitions to others, or have no room for them."""

from __future__ import annotations

import contextlib
import os
import time
from typing import TYPE_CHECKING

import pytest
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient

from tests.faults.fault import Fault
from worker.exits import Exit

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.cluster import Cluster
    from tests.faults.stage import Stage
    from tests.faults.trial import Trial

pytestmark = [pytest.mark.faults, pytest.mark.apache, pytest.mark.broker, pytest.mark.timeout(1800)]

AWAY_S = 3.0
STILL_S = 6.0  # twice the session of a member and the time of a transaction
BACK_S = 90.0
BROKERS = 3


def test_a_broker_that_is_killed_is_waited_for(stage: Stage, fragile: Cluster) -> None:
    def kill(_: list[Trial]) -> None:
        fragile.kill()
        time.sleep(AWAY_S)
        fragile.start()

    stage.run_together(fragile, Fault(name="broker killed", bound_s=BACK_S), kill)


def test_a_broker_that_stands_still_is_waited_for(stage: Stage, fragile: Cluster) -> None:
    def stand_still(_: list[Trial]) -> None:
        fragile.pause()
        time.sleep(STILL_S)
        fragile.resume()

    stage.run_together(fragile, Fault(name="broker stopped (SIGSTOP)", bound_s=BACK_S), stand_still)


def test_a_broker_that_starts_again_is_waited_for(stage: Stage, fragile: Cluster) -> None:
    stage.run_together(fragile, Fault(name="broker restarted", bound_s=BACK_S), lambda _: fragile.restart())


def test_a_full_disk_under_the_log_stops_the_stream_until_there_is_room(
    stage: Stage, fragile: Cluster, small_disk: str | Path
) -> None:
    if isinstance(small_disk, str):
        pytest.skip(small_disk)
    filler = small_disk / "filler"

    def fill(_: list[Trial]) -> None:
        with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(os.urandom(1 << 16))
        assert fragile.children[0].wait(60) is not None, "the broker has gone on without room"
        filler.unlink()
        fragile.start()

    # Not exactly once: a lone broker that comes back may count as aborted what it has not (docs/delivery.md).
    fault = Fault(
        name="full disk under the log",
        bound_s=BACK_S,
        deliveries=("at-least-once",),
        exits=frozenset({Exit.DELIVERY}),  # where it is a result that the disk has no room for
    )
    stage.run_together(fragile, fault, fill)


def test_leaders_that_move_are_followed(stage: Stage, three: Cluster) -> None:
    def move(trials: list[Trial]) -> None:
        for trial in trials:
            _move_leaders(trial)

    stage.run_together(three, Fault(name="leaders moved, of three brokers", bound_s=BACK_S), move)


def test_a_leader_that_is_killed_is_replaced(stage: Stage, three: Cluster) -> None:
    def kill_one(_: list[Trial]) -> None:
        three.kill(1)
        time.sleep(AWAY_S)
        three.start()

    stage.run_together(three, Fault(name="one broker of three killed", bound_s=BACK_S), kill_one)


def _move_leaders(trial: Trial) -> None:
    """Give every partition of the trial's topics to the broker after its own, and once more."""
    topics = (trial.line.requests, trial.line.results, trial.line.dead_letters)
    with KafkaAdminClient(bootstrap_servers=trial.cluster.bootstrap_servers) as admin:
        for _ in range(BROKERS - 1):
            wanted = {
                TopicPartition(topic["name"], partition["partition_index"]): _after(partition["leader_id"])
                for topic in admin.describe_topics(list(topics))
                for partition in topic["partitions"]
            }
            admin.alter_partition_reassignments(wanted)
            trial.until("the replicas are in their new order", lambda: not admin.list_partition_reassignments())
            admin.elect_leaders(0, {topic: [p.partition for p in wanted if p.topic == topic] for topic in topics})
            trial.until_more()


def _after(leader: int) -> list[int]:
    """Return all brokers, those after this one first."""
    return [(leader + step) % BROKERS + 1 for step in range(BROKERS)]
