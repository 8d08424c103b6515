"""Child processes that die with their parent and keep what they print."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

# The kernel kills the child when its parent thread ends, however it ends. A launcher sets this, not `preexec_fn`, which
# is unsafe with threads about. On systems without prctl a parent that is killed leaves its children behind.
_LAUNCHER = """
import ctypes, os, sys
parent = int(sys.argv[1])
prctl = getattr(ctypes.CDLL(None), "prctl", None)
if prctl is not None:
    prctl(1, 9)
if os.getppid() != parent:
    os._exit(1)
os.execvp(sys.argv[2], sys.argv[2:])
"""

_FIRST_PORT, _LAST_PORT = 10_000, 32_000
_TAIL_LINES = 15
_given_ports: set[int] = set()


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 on which nothing listens, and another one each time.

    It lies below the range that the kernel gives to outgoing connections: a client that keeps calling a stopped broker
    at a port of that range can be connected to itself, and then holds the port when the broker comes back.
    """
    while True:
        port = random.randint(_FIRST_PORT, _LAST_PORT)  # noqa: S311 - not a secret
        if port in _given_ports:
            continue  # it may be about to be listened on
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given_ports.add(port)
        return port


class Child:
    """One process: started from the calling thread, stopped with grace, its output appended to `log`.

    It runs in a session of its own, so that Ctrl-C in a terminal reaches the parent alone, which then stops its
    children in the order it chooses. Start it from a thread that outlives it: the kernel ties it to that thread.
    """

    def __init__(self, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None) -> None:
        self.command = list(command)
        self.log = log
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Return the process id."""
        if self._process is None:
            raise RuntimeError(f"{self.command[0]} was not started")
        return self._process.pid

    @property
    def exit_status(self) -> int | None:
        """Return the exit status (negative: a signal), or None while it runs or before it was started."""
        return None if self._process is None else self._process.poll()

    @property
    def running(self) -> bool:
        """Return whether the process was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the process; its output is appended to the log."""
        if self.running:
            raise RuntimeError(f"{self.command[0]} is running already, as process {self.pid}")
        launcher = [sys.executable, "-I", "-S", "-c", _LAUNCHER, str(os.getpid())]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                launcher + self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )

    def terminate(self) -> None:
        """Ask the process to end (SIGTERM) if it runs, without waiting."""
        if self._process is not None and self.running:
            self.resume()  # a paused process does not see SIGTERM
            self._process.terminate()

    def stop(self, *, grace_s: float = 15.0) -> int | None:
        """Ask the process to end (SIGTERM), kill it after `grace_s` seconds, and return its exit status."""
        if self._process is None:
            return None
        self.terminate()
        try:
            return self._process.wait(grace_s)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int | None:
        """End the process at once (SIGKILL) and return its exit status."""
        if self._process is None:
            return None
        self._process.kill()
        return self._process.wait()

    def pause(self) -> None:
        """Stop the process where it is (SIGSTOP): its connections stay open, and nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a paused process go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def wait(self, timeout_s: float) -> int | None:
        """Return the exit status once the process has ended by itself, or None after `timeout_s` seconds."""
        if self._process is None:
            return None
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def tail(self) -> str:
        """Return the last lines of its output."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:])


def wait_for_port(port: int, *, deadline_s: float) -> bool:
    """Return whether something listens on the port of 127.0.0.1 before `deadline_s` (of the monotonic clock)."""
    while time.monotonic() < deadline_s:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            time.sleep(0.05)
        else:
            return True
    return False
