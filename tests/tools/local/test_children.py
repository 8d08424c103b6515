"""Child processes: stopped, killed, paused, and gone with their parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from worker.tools.local.children import Child, free_port, wait_for_port

PRINTS = "import sys, time; print('ready', flush=True); time.sleep(600)"
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(600)"
)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "child.log"


def wait_for(log: Path, text: str) -> None:
    give_up_s = time.monotonic() + 30
    while not (log.exists() and text in log.read_text()):
        assert time.monotonic() < give_up_s, f"{text!r} did not appear"
        time.sleep(0.01)


def state_of(pid: int) -> str:
    """The kernel's letter for the process's state; empty where it is gone (or waits to be reaped)."""
    try:
        letter = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return ""
    return "" if letter == "Z" else letter


@pytest.fixture
def child(log: Path) -> Iterator[Child]:
    made = Child([sys.executable, "-c", PRINTS], log=log)
    made.start()
    wait_for(log, "ready")
    yield made
    made.kill()


def test_a_child_is_stopped_and_started_again(child: Child, log: Path) -> None:
    states = [child.running]
    assert child.stop() == -signal.SIGTERM
    states.append(child.running)
    child.start()
    states.append(child.running)
    assert states == [True, False, True]
    with pytest.raises(RuntimeError, match="is running already"):
        child.start()
    assert child.kill() == -signal.SIGKILL
    assert log.read_text().startswith("ready")


def test_a_child_that_does_not_listen_is_killed(log: Path) -> None:
    stubborn = Child([sys.executable, "-c", STUBBORN], log=log)
    stubborn.start()
    wait_for(log, "ready")
    assert stubborn.stop(grace_s=0.1) == -signal.SIGKILL


def test_a_paused_child_can_be_stopped(child: Child) -> None:
    child.pause()
    while state_of(child.pid) != "T":
        time.sleep(0.01)
    assert child.stop() == -signal.SIGTERM


def test_what_a_child_says_last_is_kept(log: Path) -> None:
    talker = Child([sys.executable, "-c", "for n in range(100): print('line', n)"], log=log)
    talker.start()
    assert talker.wait(30) == 0
    assert talker.tail().endswith("line 99")
    assert "line 3\n" not in talker.tail()


def test_a_child_that_was_not_started_is_nothing_to_stop(log: Path) -> None:
    never = Child(["true"], log=log)
    assert (never.stop(), never.kill(), never.wait(0.0), never.exit_status, never.tail()) == (
        None,
        None,
        None,
        None,
        "",
    )
    with pytest.raises(RuntimeError, match="not started"):
        _ = never.pid


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_child_ends_with_its_parent_however_that_ends(log: Path, how: signal.Signals) -> None:
    script = (
        "import sys, time; from pathlib import Path; from worker.tools.local.children import Child;"
        f"c = Child([sys.executable, '-c', {PRINTS!r}], log=Path({str(log)!r})); c.start(); print(c.pid, flush=True);"
        "time.sleep(600)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        wait_for(log, "ready")
        assert state_of(pid)
        os.kill(parent.pid, how)
    give_up_s = time.monotonic() + 30
    while state_of(pid):
        assert time.monotonic() < give_up_s, "the child outlived its parent"
        time.sleep(0.01)


def test_a_free_port_is_free_and_below_those_of_outgoing_connections() -> None:
    port = free_port()
    first_outgoing = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert 1024 < port < first_outgoing
    assert not wait_for_port(port, deadline_s=time.monotonic() + 0.01)


def test_no_port_is_given_twice() -> None:
    ports = [free_port() for _ in range(400)]
    assert len(set(ports)) == len(ports)
