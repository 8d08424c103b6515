"""A bench that is stopped in the middle: its status, its word, and what it leaves."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.line import wait_until
from tests.tools.conftest import command, environment
from worker.tools.bench.stopping import stoppable


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_unwinds_the_block_and_then_ends_the_process(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(signal.SIGTERM)
    unwound = []

    def run() -> None:
        with stoppable():
            try:
                signal.raise_signal(number)
            finally:
                unwound.append(True)

    with pytest.raises(SystemExit) as ended:
        run()
    assert (ended.value.code, unwound) == (130, [True])
    assert capsys.readouterr().err == "stopped; nothing is left running\n"
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.broker
def test_a_bench_that_is_stopped_leaves_no_process_and_no_folder(broker: str, tiny_model: Path, tmp_path: Path) -> None:
    words = ("--bootstrap-servers", broker, "--model", str(tiny_model), "--seconds", "600", "--candidates", "2")
    process = subprocess.Popen(
        command("bench", "capacity", *words),
        env=environment(TMPDIR=str(tmp_path)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    with process:
        # Its worker writes a log as soon as it runs.
        wait_until(
            "the worker has started", lambda: any(tmp_path.glob("*/worker.log")), alive=lambda: not process.poll()
        )
        wait_until("the worker is a child", lambda: bool(_children(process.pid)))
        children = _children(process.pid)
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 130, said
    assert said.endswith("stopped; nothing is left running\n")
    wait_until("its children are gone", lambda: not any(_runs(child) for child in children))
    assert list(tmp_path.iterdir()) == []


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
