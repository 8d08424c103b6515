"""Does for one worker what Kubernetes does: starts it again when it has ended, and ends it when /livez condemns it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.integration.line import Worker

_LOOK_S = 0.1
_BACK_OFF_S = 0.3
_PROBE_S = 0.5
_FAILURES = 2  # of /livez in a row
_GRACE_S = 30.0
_OK = 200


class Supervisor(threading.Thread):
    """Keeps a worker running until told to let it go. The worker lives no longer than this thread."""

    def __init__(self, worker: Worker) -> None:
        super().__init__(name=f"supervisor of {worker.log.stem}", daemon=True)
        self.worker = worker
        self.statuses: list[int] = []  # with which it has ended before its last time
        self.last_status: int | None = None
        self.killed = False  # whether its last end was meant to be one without grace
        self.probing = True
        self._over = threading.Event()
        self._grace_s = _GRACE_S
        self._failures = 0
        self._live = False  # whether this process has ever been
        self._probe_due_s = 0.0

    def run(self) -> None:
        """Start the worker, and again and again; then stop it."""
        while not self._over.is_set():
            self.worker.start()
            self._live, self._failures = False, 0
            while self.worker.running and not self._over.wait(_LOOK_S):
                if self.probing and time.monotonic() >= self._probe_due_s:
                    self._probe()
            status = self.worker.exit_status
            if status is not None:
                self.statuses.append(status)
                self._over.wait(_BACK_OFF_S)
        self.last_status = self.worker.stop(grace_s=self._grace_s)

    def let_go(self, *, grace_s: float = _GRACE_S) -> int | None:
        """Start it no more: SIGTERM, and SIGKILL after `grace_s`; return the worker's last status."""
        if not self._over.is_set():
            self._grace_s, self.killed = grace_s, grace_s == 0
        self._over.set()
        self.join()
        return self.last_status

    def _probe(self) -> None:
        self._probe_due_s = time.monotonic() + _PROBE_S
        status = self.worker.get("/livez")[0]
        self._live = self._live or status == _OK
        failed = status != _OK and self._live  # before it listens it is given its time
        self._failures = self._failures + 1 if failed else 0
        if self._failures >= _FAILURES and self.probing:
            self.worker.kill()
