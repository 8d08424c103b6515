"""What a worker says when it is asked, and what it did since it was asked before."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from worker.status import Reading, Window
from worker.terminal.printable import printable
from worker.tools.local.live_worker import read_page

if TYPE_CHECKING:
    from collections.abc import Sequence

_OK = 200  # of HTTP
_STRANGER = "answers, but is no worker"
_MOST_AT_ONCE = 32
_SHOWN = 100  # characters of what a stranger answers


@dataclass(frozen=True, slots=True)
class Scrape:
    """What came of asking one worker: its state, and its metrics if it gave any.

    `window` is None until there are two readings of the same process.
    """

    url: str
    state: str
    reading: Reading | None = None
    window: Window | None = None

    @property
    def name(self) -> str:
        """The worker's address, without what all have."""
        return self.url.removeprefix("http://")

    @property
    def is_ready(self) -> bool:
        """Whether /readyz says so."""
        return self.state == "ready"


class Scraper:
    """Asks all workers at once, and remembers what each said."""

    def __init__(self, urls: Sequence[str], timeout_s: float) -> None:
        self._urls = urls
        self._timeout_s = timeout_s
        self._readings: dict[str, Reading] = {}

    def scrape(self) -> list[Scrape]:
        """Return what each worker says, in their order; one that does not answer says so in its state."""
        with ThreadPoolExecutor(min(len(self._urls), _MOST_AT_ONCE)) as threads:
            return list(threads.map(self._scrape, self._urls))

    def _scrape(self, url: str) -> Scrape:
        before = self._readings.pop(url, None)
        try:
            status, text = read_page(f"{url}/metrics", self._timeout_s)
            reading = Reading(text_string_to_metric_families(text), time.monotonic())
            if status != _OK or not reading.series("rerank_pairs_total"):
                return Scrape(url, _STRANGER)
            status, said = read_page(f"{url}/readyz", self._timeout_s)
        except ValueError:  # its /metrics are none
            return Scrape(url, _STRANGER)
        except Exception as error:  # whatever one of them does, the others are shown
            return Scrape(url, f"unreachable: {_reason(error)}")
        self._readings[url] = reading
        window = Window(before, reading) if before is not None else None
        if window is not None and not window.is_of_one_process:
            window = None
        return Scrape(url, "ready" if status == _OK else _line(said), reading, window)


def _reason(error: Exception) -> str:
    """Return why, in one line: what the system says rather than what the libraries make of it."""
    while isinstance(cause := getattr(error, "reason", None), Exception):
        error = cause
    return _line(getattr(error, "strerror", None) or str(error) or type(error).__name__)


def _line(said: str) -> str:
    """Return the first line of what somebody else said."""
    return printable(said.strip().partition("\n")[0][:_SHOWN])
