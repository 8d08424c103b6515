"""A worker as a child process, started as `rerank-worker run` is, and what its HTTP pages say about it."""

from __future__ import annotations

import sys
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, TypeVar

from prometheus_client.parser import text_string_to_metric_families

from worker.exits import Exit, StopError
from worker.tools.local.children import Child

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

T = TypeVar("T")

_OK = 200  # of HTTP
_PAUSE_S = 0.1
_START_WITHIN_S = 120.0  # a model may come from the hub first
_CODES = frozenset(Exit)
_SAID = "rerank-worker: "  # how the command line begins the line that says why it ends


class WorkerEndedError(StopError):
    """The worker ended by itself: one line, with the reason that it gave, and its exit code where it has one.

    `status` is its exit status, as a shell would report it; `last_lines` are those of its log.
    """

    def __init__(self, status: int, last_lines: str) -> None:
        # A worker that was stopped by somebody else ends with 0, which is no success of who still needed it.
        code = Exit(status) if status in _CODES and status != Exit.OK else Exit.CRASH
        super().__init__(code, f"the worker ended with status {status}: {_reason(last_lines)}")
        self.status = status
        self.last_lines = last_lines


class LiveWorker:
    """A running worker. `flags` are options by name; what they leave out comes from the environment.

    `meanwhile` is called with each check, and so all the while that something is waited for; it may raise.
    """

    def __init__(
        self, flags: Mapping[str, object], *, url: str, log: Path, meanwhile: Callable[[], None] = lambda: None
    ) -> None:
        words = [word for name, value in flags.items() for word in _flag(name, value)]
        # -P: else a folder called `worker` where the user happens to be would be taken for this package.
        self.child = Child([sys.executable, "-P", "-m", "worker", "run", *words], log=log)
        self.url = url
        self._meanwhile = meanwhile

    def check(self) -> None:
        """Raise WorkerEndedError if the worker has ended."""
        self._meanwhile()
        status = self.child.exit_status
        if status is not None:
            raise WorkerEndedError(128 - status if status < 0 else status, self.child.tail())

    def wait_for_model(self) -> dict[str, str]:
        """Return what /metrics says about the build, once the model is loaded. Raises as `wait_until_ready`."""
        return self._wait("load the model", self._build)

    def wait_until_ready(self) -> None:
        """Return once /readyz says ok. Raises WorkerEndedError, or StopError after two minutes."""
        self._wait("get ready", lambda: self.page("/readyz")[0] == _OK)

    def resident_bytes(self) -> float:
        """Return how much memory the worker holds; NaN where its system does not say."""
        found = (value for name, _, value in self._samples() if name == "process_resident_memory_bytes")
        return next(found, float("nan"))

    def page(self, path: str) -> tuple[int, str]:
        """Return the status and the text of a page; (0, "") where nothing listens yet."""
        try:
            return read_page(self.url + path)
        except OSError:
            return 0, ""

    def _build(self) -> dict[str, str]:
        """Return the labels of rerank_build_info; they are empty until the model is loaded."""
        return next((labels for name, labels, _ in self._samples() if name == "rerank_build_info"), {})

    def _samples(self) -> list[tuple[str, dict[str, str], float]]:
        families = text_string_to_metric_families(self.page("/metrics")[1])
        return [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]

    def _wait(self, what: str, ask: Callable[[], T]) -> T:
        """Return the first answer that is not empty or False."""
        give_up_s = time.monotonic() + _START_WITHIN_S
        while not (answer := ask()):
            self.check()
            if time.monotonic() > give_up_s:
                raise StopError(
                    Exit.CRASH,
                    f"the worker did not {what} within {_START_WITHIN_S:.0f} s; its last lines:\n{self.child.tail()}",
                )
            time.sleep(_PAUSE_S)
        return answer


def read_page(url: str, timeout_s: float = 5) -> tuple[int, str]:
    """Return the status and the text of a worker's page. Raises OSError where nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as reply:  # noqa: S310 - the callers give http addresses
            return reply.status, reply.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def _reason(last_lines: str) -> str:
    """Return what the worker said when it ended; where it had no time for that, the last line of its log."""
    lines = last_lines.splitlines()
    said = [line.removeprefix(_SAID) for line in lines if line.startswith(_SAID)]
    if said:
        return said[-1]
    return f"it gave no reason; its last line: {lines[-1]}" if lines else "it gave no reason"


def _flag(name: str, value: object) -> list[str]:
    dashed = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{dashed}" if value else f"--no-{dashed}"]
    return [f"--{dashed}", str(value)]
