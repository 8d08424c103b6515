"""SIGTERM and SIGINT: the first asks, the second ends the process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from worker.signals import StopSignals

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOTH = (signal.SIGTERM, signal.SIGINT)
_TWICE = """
import os, sys
from worker.signals import StopSignals

signals = StopSignals()
signals.install()
first, second = map(int, sys.argv[1:])
os.kill(os.getpid(), first)
print(signals.asked(), flush=True)
os.kill(os.getpid(), second)
print("still here", flush=True)
"""


@pytest.fixture
def installed() -> Iterator[StopSignals]:
    before = {number: signal.getsignal(number) for number in _BOTH}
    signals = StopSignals()
    signals.install()
    yield signals
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", _BOTH)
def test_the_first_signal_asks_the_worker_to_finish(installed: StopSignals, number: signal.Signals) -> None:
    assert not installed.asked()
    os.kill(os.getpid(), number)
    assert installed.asked()


@pytest.mark.parametrize("first", _BOTH)
@pytest.mark.parametrize("second", _BOTH)
def test_the_second_signal_ends_the_process_at_once(first: signal.Signals, second: signal.Signals) -> None:
    numbers = [str(int(first)), str(int(second))]
    ended = subprocess.run([sys.executable, "-c", _TWICE, *numbers], capture_output=True, timeout=60, check=False)
    assert ended.returncode == 128 + second
    assert ended.stdout == b"True\n"
    assert ended.stderr == b"second signal: ending at once\n"
