"""A worker as a child process that has ended: what is said of it, and with which exit code."""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING

import pytest

from worker.exits import Exit
from worker.tools.local.children import Child
from worker.tools.local.live_worker import LiveWorker, WorkerEndedError

if TYPE_CHECKING:
    from pathlib import Path

KILLED = 128 + signal.SIGKILL


def ended(tmp_path: Path, script: str) -> WorkerEndedError:
    """Run a script in the place of the worker and return what is raised once it has ended."""
    worker = LiveWorker({}, url="http://127.0.0.1:1", log=tmp_path / "worker.log")
    worker.child = Child([sys.executable, "-c", f"import os, signal, sys\n{script}"], log=tmp_path / "worker.log")
    worker.child.start()
    assert worker.child.wait(60) is not None
    with pytest.raises(WorkerEndedError) as caught:
        worker.check()
    return caught.value


@pytest.mark.parametrize(
    ("script", "code", "status", "said"),
    [
        ("print('log'); sys.exit('rerank-worker: a\\nrerank-worker: b')", Exit.CRASH, 1, "b"),
        ("print('rerank-worker: no such folder'); sys.exit(3)", Exit.MODEL, 3, "no such folder"),
        ("print('rerank-worker: odd'); sys.exit(77)", Exit.CRASH, 77, "odd"),
        ("print('stopped')", Exit.CRASH, 0, "it gave no reason; its last line: stopped"),
        ("os.kill(os.getpid(), signal.SIGKILL)", Exit.CRASH, KILLED, "it gave no reason"),
    ],
)
def test_a_worker_that_has_ended_is_one_line_and_an_exit_code(
    tmp_path: Path, script: str, code: Exit, status: int, said: str
) -> None:
    error = ended(tmp_path, script)
    assert (error.code, error.status) == (code, status)
    assert str(error) == f"the worker ended with status {status}: {said}"


def test_the_last_lines_are_kept_for_who_shows_them(tmp_path: Path) -> None:
    assert ended(tmp_path, "print('one'); sys.exit('two')").last_lines == "one\ntwo"
