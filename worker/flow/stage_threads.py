"""The stage threads: each ends when its inbox ends, and none dies unnoticed."""

from __future__ import annotations

import math
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from worker.exits import StopError
from worker.flow.thread_name import show_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.flow.channel import Channel


class StageDiedError(Exception):
    """A stage thread ended although its work had not."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage: `body` runs on `threads` threads and returns when its inbox ends; then `outboxes` are closed.

    `heartbeat` is what its only thread beats.
    """

    name: str
    body: Callable[[], None]
    outboxes: tuple[Channel[Any], ...] = ()
    threads: int = 1
    heartbeat: Heartbeat | None = None


class Heartbeat:
    """When a thread last went round its loop; written by that thread, read by any."""

    def __init__(self) -> None:
        self._last_s = time.monotonic()

    def beat(self, ahead_s: float = 0.0) -> None:
        """Say that the thread is alive, and that what it does now may take `ahead_s` seconds."""
        self._last_s = time.monotonic() + ahead_s

    def end(self) -> None:
        """Say that the thread has nothing more to do: it does not age."""
        self._last_s = math.inf

    def age_s(self) -> float:
        """Return seconds since the last beat, or since the end of what it allowed for."""
        return max(0.0, time.monotonic() - self._last_s)


class StageThreads:
    """Runs the stages, in the order of the flow."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._threads = [
            threading.Thread(target=self._run, args=(stage,), name=f"{stage.name}-{number}", daemon=True)
            for stage in stages
            for number in range(stage.threads)
        ]
        self._running = {stage.name: stage.threads for stage in stages}
        self._lock = threading.Lock()
        self._error: tuple[str, BaseException] | None = None
        self._ended: list[str] = []

    def start(self) -> None:
        """Start every thread."""
        for thread in self._threads:
            thread.start()

    def check(self, *, ending: bool = False) -> None:
        """Raise what a stage died of, a StopError as it is.

        While the work is not `ending`, a stage that merely ended is an error too.
        """
        if self._error is not None:
            name, error = self._error
            if isinstance(error, StopError):
                raise error
            raise StageDiedError(f"the {name} stage died: {type(error).__name__}: {error}") from error
        if self._ended and not ending:
            raise StageDiedError(f"the {self._ended[0]} stage ended before its work did")

    def join(self, timeout_s: float) -> bool:
        """Wait for every thread; return whether all have ended in time."""
        deadline = time.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _run(self, stage: Stage) -> None:
        show_name(stage.name)
        try:
            stage.body()
        except BaseException as error:  # kept for the main thread, which raises it
            with self._lock:
                self._error = self._error or (stage.name, error)
        finally:
            if stage.heartbeat is not None:
                stage.heartbeat.end()  # if it died, the main thread says of what
            with self._lock:
                self._running[stage.name] -= 1
                last = self._running[stage.name] == 0
            if last:
                self._ended.append(stage.name)
                for outbox in stage.outboxes:
                    outbox.close()
