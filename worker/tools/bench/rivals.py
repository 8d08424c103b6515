"""What a user would write instead: a loop of kafka-python and sentence-transformers, and quixstreams with the same."""

from __future__ import annotations

import importlib.util
import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from worker.exits import Exit, StopError
from worker.tools.local.children import Child

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from worker.kafka_io import KafkaOptions
    from worker.model.options import ModelOptions

Name = Literal["naive_loop", "quixstreams"]
NAMES: tuple[Name, ...] = ("naive_loop", "quixstreams")

_MODULES = {"naive_loop": "worker.tools.bench.naive_loop", "quixstreams": "worker.tools.bench.quix_loop"}
_LIBRARIES: dict[Name, tuple[str, ...]] = {
    "naive_loop": ("sentence_transformers",),
    "quixstreams": ("sentence_transformers", "quixstreams"),
}
_GRACE_S = 5.0


class Rival:
    """A child process that reads requests and writes results, as the worker does."""

    def __init__(self, name: Name, config: dict[str, object], log: Path, threads: int | None) -> None:
        self._name = name
        command = [sys.executable, "-P", "-m", _MODULES[name], json.dumps(config)]
        environment = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        self.child = Child(command, log=log, environment=environment)

    def check(self) -> None:
        """Raise StopError if it has ended."""
        if not self.child.running:
            raise StopError(
                Exit.CRASH,
                f"{self._name} ended with status {self.child.exit_status}; its last lines:\n{self.child.tail()}",
            )


def why_not(name: Name, kafka: KafkaOptions) -> str | None:
    """Return why a rival cannot be measured here, or None."""
    missing = [library for library in _LIBRARIES[name] if importlib.util.find_spec(library) is None]
    if missing:
        return f"{', '.join(missing)} is not installed (pip install 'rerank-worker[bench]')"
    if kafka.security_protocol != "PLAINTEXT":
        return f"it knows no {kafka.security_protocol}"
    return None


@contextmanager
def rival(name: Name, kafka: KafkaOptions, model: ModelOptions, device: str, folder: Path) -> Iterator[Rival]:
    """Start a rival on these topics and stop it afterwards; its log is in the folder."""
    config = {
        "bootstrap_servers": kafka.bootstrap_servers,
        "group_id": kafka.group_id,
        "request_topic": kafka.request_topic,
        "result_topic": kafka.result_topic,
        "session_timeout_ms": int(kafka.session_timeout_s * 1000),
        "model": model.model,
        "revision": model.revision,
        "max_length": model.max_length,
        "device": device,
        "state_folder": str(folder / f"{name}-state"),
    }
    started = Rival(name, config, folder / f"{name}.log", model.cpu_threads)
    try:
        started.child.start()
        yield started
    finally:
        started.child.stop(grace_s=_GRACE_S)
