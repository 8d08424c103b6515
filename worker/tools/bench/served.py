"""A worker that a bench measures: a child process with the bench's own settings and topics."""

from __future__ import annotations

import dataclasses
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pydantic import SecretStr

from worker.tools.local.children import free_port
from worker.tools.local.live_worker import LiveWorker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worker.config.settings import Settings
    from worker.kafka_io import KafkaOptions

_GRACE_S = 5.0


@contextmanager
def served(settings: Settings, kafka: KafkaOptions, folder: Path, name: str, **more: object) -> Iterator[LiveWorker]:
    """Start `rerank-worker run` with these settings on these topics, give it when it is ready, stop it afterwards.

    `more` are options that take the place of the settings'. Its log is `folder/name.log`.
    """
    port = free_port()
    flags = {
        **flags_of(dataclasses.replace(settings, kafka=kafka)),
        "http_host": "127.0.0.1",
        "http_port": port,
        # One that is set for production would end the transactions of the worker that has it.
        "transactional_id": kafka.group_id,
        **more,
    }
    worker = LiveWorker(flags, url=f"http://127.0.0.1:{port}", log=folder / f"{name}.log")
    try:
        worker.child.start()
        worker.wait_until_ready()
        yield worker
    finally:
        worker.child.stop(grace_s=_GRACE_S)


def flags_of(settings: Settings) -> dict[str, object]:
    """Return the options as flags. What is not set has none, nor has a secret: the child reads its variable."""
    flags: dict[str, object] = {}
    for group in dataclasses.fields(settings):
        values = getattr(settings, group.name)
        for field in dataclasses.fields(values):
            value = getattr(values, field.name)
            if value is not None and not isinstance(value, SecretStr):
                flags[field.name] = ",".join(map(str, value)) if isinstance(value, tuple) else value
    return flags
