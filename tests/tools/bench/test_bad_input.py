"""What a bench cannot use ends it at once, in one line, with status 2."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.tools.conftest import environment
from worker.exits import Exit

# Every bench takes these, with the same checks.
COMMANDS = ("scorer", "host")
BAD = (
    (("--seconds", "0"), "--seconds: expected greater than 0, got '0'"),
    (("--seconds", "soon"), "--seconds: expected a valid number, got 'soon'"),
    (("--repeat", "0"), "--repeat: expected greater than 0, got '0'"),
    (("--json", "/no/such/folder/out.json"), "--json: expected a file in a folder that exists"),
    (("--plot", "out.pdf"), "--plot: expected a file that ends in .png, got out.pdf"),
    (("--max-length", "long"), "--max-length: expected a valid integer, got 'long'"),
)


def _bench(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "worker", "bench", *words]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60, env=environment())


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(("words", "said"), BAD, ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_a_bad_option_is_one_line(command: str, words: tuple[str, ...], said: str) -> None:
    _is_one_line(_bench(command, *words), said)


@pytest.mark.parametrize("command", ["scorer"])
def test_a_missing_file_of_pairs_is_one_line(command: str) -> None:
    _is_one_line(_bench(command, "--input", "/no/such/file.jsonl"), "--input: cannot read /no/such/file.jsonl")


def test_an_unknown_peer_is_one_line() -> None:
    _is_one_line(_bench("scorer", "--against", "magic"), "--against: expected 'sentence-transformers', got 'magic'")


def test_an_address_without_a_broker_is_one_line() -> None:
    done = _bench("host", "--bootstrap-servers", "127.0.0.1:1", "--connect-timeout-s", "1")
    assert done.returncode == Exit.UNREACHABLE
    assert done.stderr.count("\n") == 1
    assert "127.0.0.1:1: no connection within 1 s" in done.stderr


def _is_one_line(done: subprocess.CompletedProcess[str], said: str) -> None:
    assert done.returncode == Exit.USAGE
    assert done.stderr.count("\n") == 1
    assert said in done.stderr
    assert done.stdout == ""
