"""The figures of `bench host`: rates with a cold and a warm token cache, and the processor time of each thread."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.tools.bench.plot import draw_bars

if TYPE_CHECKING:
    from pathlib import Path

    from worker.tools.bench.host_run import Window
    from worker.tools.bench.report import Report
    from worker.tools.bench.traffic import Published


@dataclass(slots=True)
class Measured:
    """The runs of the worker by the state of its token cache, `cold` or `warm`, with what lay in the topic.

    `alone` are pairs a second of the tokenizers library on one thread, `alone_on_threads` those on `threads`.
    """

    candidates: int
    threads: int
    published: dict[str, Published]
    runs: dict[str, list[Window]]
    alone: list[float] = field(default_factory=list)
    alone_on_threads: list[float] = field(default_factory=list)


def tell(report: Report, measured: Measured) -> None:
    """Add the figures to a report."""
    rates = {}
    for name, runs in measured.runs.items():
        events = [run.events / run.seconds for run in runs]
        rates[name] = [rate * measured.candidates for rate in events]
        published = measured.published[name]
        size = published.megabytes / published.events
        report.add(f"host.{name}.pairs_per_second", "pairs/s", rates[name])
        report.add(f"host.{name}.events_per_second", "events/s", events)
        report.add(f"host.{name}.megabytes_per_second", "MB/s of requests", [rate * size for rate in events])
    on_threads = f"threads_{measured.threads}"
    report.add("host.tokenizer.pairs_per_second", "pairs/s", measured.alone)
    report.add(f"host.tokenizer.{on_threads}.pairs_per_second", "pairs/s", measured.alone_on_threads)
    for name, runs in measured.runs.items():
        for thread in sorted({thread for run in runs for thread in run.cpu}):
            spent = [1000 * run.cpu.get(thread, 0.0) / (run.events * measured.candidates) for run in runs]
            report.add(f"host.{name}.cpu.{_word(thread)}", "CPU s per 1,000 pairs", spent)
    report.add_ratio("host.cold_vs_tokenizer", rates["cold"], measured.alone)
    report.add_ratio(f"host.cold_vs_tokenizer_{on_threads}", rates["cold"], measured.alone_on_threads)


def draw(path: Path, report: Report) -> None:
    """Draw where the time goes with a warm cache."""
    prefix = "host.warm.cpu."
    spent = {r.name.removeprefix(prefix): r.value for r in report.results if r.name.startswith(prefix)}
    draw_bars(path, title="bench host, warm token cache", y="CPU seconds per 1,000 pairs", values=spent)


def _word(thread: str) -> str:
    return thread.replace("-", "_").replace(" ", "_").lower()
