"""What a dashboard is made of here: panels with their expressions, before they are Grafana's JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from worker.events.codec import EventOptions

# The budget of the events that name none: what latency is held against. An installation that has set
# --default-budget-ms makes its dashboards with `python -m deploy.grafana --budget-s`.
DEFAULT_BUDGET_S = EventOptions().default_budget_ms / 1000

JOBS = 'job=~"$job"'  # of the recorded expressions, which know no instances
CHOSEN = f'{JOBS}, instance=~"$instance"'

Unit = Literal["s", "short", "percentunit", "bytes", "reqps", "ops", "none"]


class Query(NamedTuple):
    """An expression, and what names its series: `{{label}}` is the label's value."""

    legend: str
    expr: str


class Limit(NamedTuple):
    """A value that is drawn as a line, with the bad side coloured."""

    value: float
    bad: Literal["above", "below"] = "above"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A plot, or one number; `width` is in the 24 columns of a dashboard."""

    title: str
    meaning: str
    unit: Unit
    queries: list[Query]
    width: int = 8
    kind: Literal["plot", "number"] = "plot"
    stacked: bool = False
    limit: Limit | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under a heading."""

    title: str
    panels: list[Panel] = field(default_factory=list)


class Board(NamedTuple):
    """A dashboard; `name` is its file's, and what its address ends in."""

    name: str
    title: str
    meaning: str
    rows: list[Row]


def chosen(metric: str, where: str = "") -> str:
    """Return the series of a metric that are chosen above the dashboard."""
    return f"{metric}{{{CHOSEN}{', ' if where else ''}{where}}}"


def recorded(name: str) -> str:
    """Return the series of a recorded expression of the jobs that are chosen."""
    return f"{name}{{{JOBS}}}"


def rate(metric: str, by: str = "", where: str = "") -> str:
    """Return how fast a counter grows, added up but for the labels `by`."""
    return f"sum{f' by ({by}) ' if by else ''}(rate({chosen(metric, where)}[$__rate_interval]))"


def share(part: str, whole: str) -> str:
    """Return one rate as a share of another; 0 where there is nothing to share."""
    return f"{part} / clamp_min({whole}, 1e-9)"


def quantile(level: float, metric: str, by: str = "", where: str = "") -> str:
    """Return a quantile of a histogram."""
    labels = f"le, {by}" if by else "le"
    return f"histogram_quantile({level:g}, {rate(f'{metric}_bucket', labels, where)})"


def quantiles(metric: str, *levels: float) -> list[Query]:
    """Return some quantiles of a histogram, each with its name."""
    return [Query(f"p{level * 100:g}", quantile(level, metric)) for level in levels]


def by_partition(combine: str, metric: str) -> Query:
    """Return a metric of each partition: one that moves has for a while a series of each of two workers."""
    return Query("{{topic}} {{partition}}", f"{combine} by (topic, partition) ({chosen(metric)})")
