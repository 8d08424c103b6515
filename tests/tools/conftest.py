"""A line for the tests of the tools, and the commands as a user types them."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.line import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Run = subprocess.CompletedProcess[str]


@pytest.fixture
def line(broker: str, topics: Callable[..., str], tmp_path: Path) -> Iterator[Line]:
    line = Line(broker, topics, tmp_path, partitions=2)
    yield line
    line.close()


def command(*words: str) -> list[str]:
    """Return the command line of `rerank-worker …`."""
    return [sys.executable, "-m", "worker", *words]


def environment(line: Line | None = None, **more: str) -> dict[str, str]:
    """Return an environment with the line's topics as options, and none of the caller's."""
    found = {name: value for name, value in os.environ.items() if not name.startswith("RERANK_")}
    if line is not None:
        found |= {
            "RERANK_BOOTSTRAP_SERVERS": line.broker,
            "RERANK_REQUEST_TOPIC": line.requests,
            "RERANK_RESULT_TOPIC": line.results,
            "RERANK_DEAD_LETTER_TOPIC": line.dead_letters,
        }
    return {**found, **more}


def rerank_worker(line: Line | None, *words: str, stdin: str = "", timeout_s: float = 120, **more: Any) -> Run:
    """Run a command to its end, on the line's topics where there is a line."""
    return subprocess.run(
        command(*words),
        check=False,
        input=stdin,
        text=True,
        capture_output=True,
        timeout=timeout_s,
        env=environment(line),
        **more,
    )
