"""What a soak sees of the worker that is left alone: memory, threads, open files; and the latency of what comes out."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.trial import Trial

_WARM = 0.2  # of a run, in which buffers and caches grow to their size
_PERCENT = 100


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a run, so many seconds after its beginning; the latencies are those since the last look."""

    at_s: float
    resident_mb: float
    threads: int
    files: int
    done: int
    latency_p50_ms: float
    latency_p99_ms: float

    def line(self) -> str:
        """Return it for people."""
        return (
            f"{self.at_s:6.0f} s  {self.resident_mb:6.1f} MB  {self.threads} threads  {self.files} files  "
            f"{self.done} done, {self.latency_p50_ms:.0f} ms at p50, {self.latency_p99_ms:.0f} at p99"
        )


class Sampler:
    """Looks at a trial's first worker, and at what has come out since it last looked."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._read = 0

    def sample(self, at_s: float) -> Sample:
        """Look. Raises FileNotFoundError where the worker has ended."""
        outcomes, sent_ms = self._trial.outcomes, self._trial.load.times_ms()
        new, self._read = outcomes[self._read :], len(outcomes)
        place = Path(f"/proc/{self._trial.supervisors[0].worker.pid}")
        latencies = [each.at_ms - sent_ms[each.source] for each in new if each.source in sent_ms]
        status = dict(line.split(":", 1) for line in (place / "status").read_text().splitlines())
        cuts = statistics.quantiles(latencies, n=_PERCENT) if len(latencies) > 1 else [float("nan")] * _PERCENT
        return Sample(
            at_s=round(at_s, 1),
            resident_mb=int(status["VmRSS"].split()[0]) / 1000,
            threads=int(status["Threads"]),
            files=len(list((place / "fd").iterdir())),
            done=len(new),
            latency_p50_ms=cuts[49],
            latency_p99_ms=cuts[98],
        )


def drift(samples: Sequence[Sample]) -> dict[str, float]:
    """Return how each figure changes by the hour once the run is warm: the slope of its line of least squares.

    Looks between which nothing came out are left aside.
    """
    if not samples:
        return {}
    began_s = samples[-1].at_s * _WARM
    warm = [sample for sample in samples if sample.at_s >= began_s and not math.isnan(sample.latency_p50_ms)]
    if len(warm) < 2:
        return {}
    hours = [sample.at_s / 3600 for sample in warm]
    names = ("resident_mb", "threads", "files", "latency_p50_ms")
    return {
        name: round(statistics.linear_regression(hours, [getattr(sample, name) for sample in warm]).slope, 3)
        for name in names
    }
