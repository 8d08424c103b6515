"""A worker under test notes what it is given, gives up, commits and dies of, and signs the offsets that it commits.

A line is one write to a file, which outlives a kill. Nothing of it is in the worker: its methods are wrapped here.
"""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

from kafka import OffsetAndMetadata

from tests.faults.history import Step
from worker.kafka_io import Consumer, Rebalance
from worker.kafka_io import group_offsets as offsets_module

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from worker.kafka_io import PendingCommit
    from worker.kafka_io.rebalance import Offsets
    from worker.records import Partition

VARIABLE = "FAULTS_JOURNAL"
_STEPS = ("assigned", "given up", "commit")


class Journal:
    """The file that a worker and those that come after it in its place write to."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    def note(self, what: str, partitions: Iterable[Partition] = ()) -> None:
        """Write one line."""
        line = {
            "at_ms": int(time.time() * 1000),
            "pid": os.getpid(),
            "what": what,
            "partitions": sorted(each.number for each in partitions),
        }
        os.write(self._file, json.dumps(line).encode() + b"\n")

    def attend(self) -> None:
        """Note every assignment and every attempt to commit of this process from now on, and sign its offsets."""
        self._note_assignments()
        self._note_commits()

    def _note_assignments(self) -> None:
        rebalances, release = Consumer.rebalances, Rebalance.release

        def noted_rebalances(consumer: Consumer) -> list[Rebalance]:
            happened = rebalances(consumer)
            for each in happened:
                if each.kind != "revoked":  # that is given up when it is released
                    self.note({"assigned": "assigned", "lost": "given up"}[each.kind], each.partitions)
            return happened

        def noted_release(rebalance: Rebalance, offsets: Offsets) -> bool:
            try:
                return release(rebalance, offsets)
            finally:
                self.note("given up", rebalance.partitions)

        Consumer.rebalances = noted_rebalances  # type: ignore[assignment, method-assign]
        Rebalance.release = noted_release  # type: ignore[assignment, method-assign]

    def _note_commits(self) -> None:
        start, begin, commit = Consumer.__init__, Consumer.begin_commit, Consumer.commit
        members: list[Any] = []

        def noted_start(consumer: Consumer, *given: Any, **options: Any) -> None:
            start(consumer, *given, **options)
            members.append(consumer._client)

        def noted_commit(consumer: Consumer, offsets: Offsets) -> None:
            self.note("commit", offsets)
            commit(consumer, offsets)

        def noted_begin(consumer: Consumer, offsets: Offsets) -> PendingCommit:
            self.note("commit", offsets)
            return begin(consumer, offsets)

        def signed(offset: int, _: str, leader_epoch: int) -> OffsetAndMetadata:
            return OffsetAndMetadata(offset, members[-1].group_metadata().member_id, leader_epoch)

        Consumer.__init__ = noted_start  # type: ignore[assignment, method-assign]
        Consumer.begin_commit = noted_begin  # type: ignore[assignment, method-assign]
        Consumer.commit = noted_commit  # type: ignore[assignment, method-assign]
        offsets_module.OffsetAndMetadata = signed  # type: ignore[attr-defined]


def notes(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a journal; none where no worker has begun one."""
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def steps(path: Path) -> list[Step]:
    """Return what the checker asks a journal for."""
    return [
        Step(f"{path.stem}, process {each['pid']}", each["what"], tuple(each["partitions"]))
        for each in notes(path)
        if each["what"] in _STEPS
    ]
