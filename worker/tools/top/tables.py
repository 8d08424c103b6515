"""Lays out what workers say: their sum, a row for each, the partitions that are furthest behind, the outcomes."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Group
from rich.table import Table

from worker.status.readings import STARTED, quantile, share
from worker.tools.screen import plain
from worker.tools.top.words import count, duration, latency, percent, rate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import RenderableType
    from rich.text import Text

    from worker.status import Reading, Window
    from worker.status.readings import Buckets
    from worker.tools.top.scrapes import Scrape

_EVENTS, _PAIRS, _BUSY = "rerank_events_total", "rerank_pairs_total", "rerank_device_busy_seconds_total"
_DEADLINES, _LETTERS = "rerank_deadlines_total", "rerank_dead_letters_total"
_LAG, _AGE = "rerank_consumer_lag_records", "rerank_consumer_lag_seconds"

_RATES = 7  # cells of what happens in a second, and of its shares


def screen(scrapes: Sequence[Scrape], partitions: int) -> RenderableType:
    """Return all of it; of partitions at most so many, those first whose oldest record is oldest."""
    parts: list[RenderableType] = [_workers(scrapes)]
    if any(scrape.reading for scrape in scrapes):
        parts += ["", *_builds(scrapes), "", _partitions(scrapes, partitions), "", _outcomes(scrapes)]
    return Group(*parts)


def _table(*columns: str) -> Table:
    """Return an empty table: columns whose name begins with < hold words, the others numbers."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        words = name.startswith("<")
        # Only a state may be long, and takes the lines that it needs.
        justify: Literal["left", "right"] = "left" if words else "right"
        table.add_column(name.removeprefix("<"), justify=justify, overflow="fold", no_wrap=name != "<state")
    return table


def _workers(scrapes: Sequence[Scrape]) -> Table:
    # Names in two lines leave room for the state on a terminal of 120 columns.
    rates = ("events/s", "pairs/s", "p50", "p99", "in\nbudget", "scored", "busy")
    table = _table("<worker", "<state", *rates, "lag", "oldest", "dead\nletters", "up")
    for scrape in scrapes:
        table.add_row(plain(scrape.name), _state(scrape), *_figures([scrape]))
    if len(scrapes) > 1:
        ready = sum(scrape.is_ready for scrape in scrapes)
        table.add_section()
        table.add_row("all", f"{ready} of {len(scrapes)} ready", *_figures(scrapes), style="bold")
    return table


def _state(scrape: Scrape) -> Text:
    return plain(scrape.state, "green" if scrape.is_ready else "yellow" if scrape.reading else "red")


def _figures(scrapes: Sequence[Scrape]) -> list[str]:
    """Return the cells of one worker, or of several as if they were one: rates add up, latencies are of all events."""
    readings = [scrape.reading for scrape in scrapes if scrape.reading is not None]
    if not readings:
        return []
    lag = sum(reading.total(_LAG) for reading in readings)
    oldest = duration(max(reading.highest(_AGE) for reading in readings)) if lag else "-"
    letters = sum(reading.total(_LETTERS) for reading in readings)
    up = _up(readings[0]) if len(scrapes) == 1 else ""
    windows = [scrape.window for scrape in scrapes if scrape.window is not None]
    return [*_rates(windows), count(lag), oldest, count(letters), up]


def _rates(windows: Sequence[Window]) -> list[str]:
    if not windows:
        return ["-"] * _RATES
    latencies: Buckets = Counter()
    for window in windows:
        latencies.update(window.buckets())
    received, scored = map(sum, zip(*(window.candidates() for window in windows), strict=True))
    met, missed = (sum(window.rate(_DEADLINES, met=met) for window in windows) for met in ("true", "false"))
    return [
        rate(sum(window.rate(_EVENTS) for window in windows)),
        rate(sum(window.rate(_PAIRS) for window in windows)),
        latency(quantile(latencies, 0.5)),
        latency(quantile(latencies, 0.99)),
        percent(share(met, missed)),
        percent(share(scored, received - scored)),
        percent(min(1.0, sum(window.rate(_BUSY) for window in windows) / len(windows))),
    ]


def _up(reading: Reading) -> str:
    started_s = reading.total(STARTED)
    return duration(time.time() - started_s) if started_s else "-"


def _builds(scrapes: Sequence[Scrape]) -> list[Text]:
    """Return a line for each model, device and version that runs, and how many workers have it."""
    found: Counter[str] = Counter()
    for scrape in scrapes:
        build = scrape.reading.labels("rerank_build_info") if scrape.reading else {}
        if build:
            revision = f" ({build['revision']})" if build.get("revision") else ""
            found[f"{build['model']}{revision}, {build['device']}, {build['dtype']}, version {build['version']}"] += 1
    several = len(scrapes) > 1
    return [plain(f"{number} of them: {build}" if several else build, "dim") for build, number in found.items()]


def _partitions(scrapes: Sequence[Scrape], limit: int) -> Table:
    table = _table("<topic", "partition", "<worker", "lag", "oldest")
    rows: list[tuple[float, float, str, int, str]] = []
    for scrape in scrapes:
        if scrape.reading is None:
            continue
        for labels, lag in scrape.reading.series(_LAG):
            age_s = scrape.reading.total(_AGE, **labels)
            rows.append((-age_s, -lag, labels["topic"], int(labels["partition"]), scrape.name))
    rows.sort()
    for age, lag, topic, number, name in rows[:limit]:
        table.add_row(plain(topic), str(number), plain(name), count(-lag), duration(-age) if lag else "-")
    if len(rows) > limit:
        table.add_row(f"{len(rows) - limit} more", style="dim")
    return table


def _outcomes(scrapes: Sequence[Scrape]) -> Table:
    """Return how events ended since the workers began, and how fast they do so now; dead letters among them."""
    table = _table("<outcome", "<reason", "events/s", "events", "share")
    totals: defaultdict[tuple[str, str], float] = defaultdict(float)
    rates: defaultdict[tuple[str, str], float] = defaultdict(float)
    for scrape in scrapes:
        for name in (_EVENTS, _LETTERS):
            for labels, value in scrape.reading.series(name) if scrape.reading else ():
                ending = (labels.get("outcome", "dead letter"), labels["reason"])
                totals[ending] += value
                rates[ending] += scrape.window.rate(name, **labels) if scrape.window else 0.0
    known = any(scrape.window for scrape in scrapes)
    everything = sum(totals.values())
    for (outcome, reason), total in totals.items():
        if total or outcome != "dead letter":
            pace = rate(rates[outcome, reason]) if known else "-"
            table.add_row(plain(outcome), plain(reason), pace, count(total), percent(share(total, everything - total)))
    return table
