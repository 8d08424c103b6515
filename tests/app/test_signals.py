"""SIGTERM and SIGINT: the first asks, the second ends the process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from worker.app.signals import StopSignals

if TYPE_CHECKING:
    from collections.abc import Iterator

_BOTH = (signal.SIGTERM, signal.SIGINT)
_TWICE = """
import logging, os, sys
from worker.observe.logs import LogOptions, set_up
from worker.app.signals import StopSignals

set_up(LogOptions(log_format=sys.argv[1]))
signals = StopSignals()
signals.install()
first, second = map(int, sys.argv[3:])
if sys.argv[2] == "in hand":
    signals.finish_first()
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
    signals.finish_first()
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
    ended = _send("text", "in hand", first, second)
    assert ended.returncode == 128 + second
    assert ended.stdout == "True\n"
    said = ended.stderr.splitlines()
    assert said[0].endswith(f"worker.app.signals: {first.name}: stopping")
    assert said[1].endswith(f"worker.app.signals: a second signal, {second.name}: ending at once")


@pytest.mark.parametrize("number", _BOTH)
def test_the_first_signal_ends_the_process_while_nothing_is_in_hand(number: signal.Signals) -> None:
    ended = _send("text", "nothing yet", number, number)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr.endswith(f"worker.app.signals: {number.name}: stopping before anything was read\n")


def test_what_a_signal_says_is_a_json_line_where_the_others_are() -> None:
    said = _send("json", "in hand", signal.SIGTERM, signal.SIGTERM).stderr.splitlines()
    assert [json.loads(line)["message"] for line in said] == [
        "SIGTERM: stopping",
        "a second signal, SIGTERM: ending at once",
    ]


def _send(log_format: str, in_hand: str, *numbers: int) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, "-c", _TWICE, log_format, in_hand, *map(str, map(int, numbers))]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
