"""Writes docs/metrics.md from the metrics themselves: `python -m worker.tools.metrics_page docs/metrics.md`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from worker.dead_letters import REASONS
from worker.flow.job import ModelName
from worker.observe.metrics import Metrics
from worker.records import Partition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

_PAGE = """# Metrics

`make docs` writes this page from [worker/observe/metrics.py](../worker/observe/metrics.py). The worker serves them at
`/metrics` on `--http-port` (9464), as text or as OpenMetrics, whichever the scraper asks for; `promtool check metrics`
finds nothing to say about them. Besides these there are the `process_…` and `python_…` of the Python client.

Every series exists before the first event, so that a rate is 0 and not missing; those of a partition begin when it is
assigned and end when it is given up. A worker has {fixed} series of its own, histogram buckets included, and
{per_partition} for each partition that it owns: nothing that an event says becomes a label.

| metric | type | unit | labels | |
| --- | --- | --- | --- | --- |
{rows}

`rate(rerank_device_busy_seconds_total[5m])` is the share of the time for which the device was busy.
`rate(rerank_candidates_scored_total[5m]) / rate(rerank_candidates_received_total[5m])` is the share of the candidates
that were scored: both count the same events, those that were published with a result.
OpenMetrics allows a histogram with negative edges no sum, and without a sum no count: there `rerank_logits` and
`rerank_slack_at_dispatch_seconds` have buckets alone, the last of which is the count.
`rerank_backlog_seconds` counts with what a pair took lately and how many pairs an event had, over about 500 events; it
is 0 until something was scored. Its sum over the workers of a group, divided by their number, is how long they need for
what waits: what to scale on. Overload, in which lists are scored in part, does not make it smaller.
[deploy/prometheus](../deploy/prometheus) has rules and alerts, [deploy/grafana](../deploy/grafana) dashboards
([what they show](dashboards.md)), and [runbook.md](runbook.md) what to do when an alert comes.
"""

_ENDINGS = {"counter": "_total", "info": "_info"}
_UNITS = ("seconds", "bytes", "tokens", "records", "events", "pairs", "partitions", "transactions", "commits", "ratio")
_OTHER_UNITS = {
    "rerank_dead_letters": "events",
    "rerank_deadlines": "events",
    "rerank_dropped": "events",
    "rerank_degraded_while_idle": "events",
    "rerank_candidates_received": "candidates",
    "rerank_candidates_scored": "candidates",
    "rerank_dispatch": "batches",
    "rerank_cache_requests": "look-ups",
    "rerank_position_jumps": "jumps",
    "rerank_rebalances": "rebalances",
    "rerank_partitions_assigned": "partitions",
    "rerank_partitions_paused": "partitions",
    "rerank_rank_displacement": "ratio, 0 to 1",
    "rerank_logits": "logit",
    "rerank_build": "",
}
_PARTITION = Partition("requests", 0)


def page() -> str:
    """Return the page."""
    metrics = Metrics(REASONS)
    metrics.model.name_build("", ModelName("", ""), "", "")
    fixed = _count(metrics)
    metrics.partitions.begin([_PARTITION])
    rows = "\n".join(_row(family) for family in _families(metrics))
    return _PAGE.format(rows=rows, fixed=fixed, per_partition=_count(metrics) - fixed)


def unit(family: Metric) -> str:
    """Return what a metric counts in. Raises KeyError for one whose name does not end in a unit and is not listed."""
    last = family.name.rpartition("_")[2]
    return last if last in _UNITS else _OTHER_UNITS[family.name]


def _families(metrics: Metrics) -> Iterator[Metric]:
    return (family for family in metrics.registry.collect() if family.name.startswith("rerank_"))


def _count(metrics: Metrics) -> int:
    return sum(len(family.samples) for family in _families(metrics))


def _row(family: Metric) -> str:
    name = family.name + _ENDINGS.get(family.type, "")
    return f"| `{name}` | {family.type} | {unit(family)} | {_labels(family)} | {family.documentation} |"


def _labels(family: Metric) -> str:
    values: dict[str, dict[str, None]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            if label != "le":
                values.setdefault(label, {})[value] = None
    if family.type == "info" or "partition" in values:
        return ", ".join(f"`{label}`" for label in values)
    return "; ".join(f"`{label}`: {', '.join(found)}" for label, found in values.items())


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
