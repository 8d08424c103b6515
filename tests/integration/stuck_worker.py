"""The light worker, in which what STUCK_WORKER names stops advancing once the file STUCK_WORKER_WHEN is there."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kafka.errors import RebalanceInProgressError
from kafka.producer.sender import Sender

from tests.integration import light_worker
from worker import cli
from worker.kafka_io import Consumer, Producer, TransactionalProducer
from worker.kafka_io.group_offsets import GroupOffsets

if TYPE_CHECKING:
    from collections.abc import Callable


def spin() -> None:
    while True:
        pass


def hang() -> None:
    threading.Event().wait()


def refuse() -> None:
    raise RebalanceInProgressError("injected")


FAULTS: dict[str, tuple[type, str, Callable[[], None]]] = {
    "poll": (Consumer, "poll", spin),  # as the client does after a record that fails its CRC
    "model": (light_worker._Flight, "wait", hang),
    "send": (Producer, "send", hang),
    "producer": (Sender, "run_once", hang),  # the client's own thread
    "commit": (GroupOffsets, "_send", refuse),
    "transaction": (TransactionalProducer, "commit", hang),
}


def _inject(owner: type, name: str, fault: Callable[[], None], when: Path) -> None:
    method = getattr(owner, name)

    def faulty(*given: Any, **named: Any) -> Any:
        if when.exists():
            fault()
        return method(*given, **named)

    setattr(owner, name, faulty)


if __name__ == "__main__":
    light_worker.install()
    _inject(*FAULTS[os.environ["STUCK_WORKER"]], Path(os.environ["STUCK_WORKER_WHEN"]))
    cli.main()
