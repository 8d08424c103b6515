"""Lets an interrupt through the event loop of kafka-python 3.0.12, which takes it for a task that has failed.

A producer runs the loop on the caller's thread until it is connected. An interrupt that lands in a task there, such as
the one that reads the answer, would end that task alone, and whoever waits for it would wait without end.
"""

import sys
from typing import Any

from kafka.net.selector import NetworkSelector

_task_done = NetworkSelector._task_done  # noqa: SLF001 - the client has no hook for this


def _task_done_or_interrupted(self: Any, task: Any) -> None:
    # The loop calls this while it handles what the task has raised.
    if isinstance(sys.exc_info()[1], KeyboardInterrupt):
        raise  # noqa: PLE0704
    _task_done(self, task)


def let_interrupts_through() -> None:
    """Change the client's class. May be called again."""
    NetworkSelector._task_done = _task_done_or_interrupted  # noqa: SLF001
