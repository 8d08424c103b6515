"""The overview: rate, errors and duration of what the workers do, what waits for them, and drift."""

from __future__ import annotations

from deploy.grafana import drift
from deploy.grafana.panels import (
    Board,
    Limit,
    Panel,
    Query,
    Row,
    by_partition,
    chosen,
    quantiles,
    rate,
    recorded,
    share,
)

_OBJECTIVE = 0.99  # of the burn-rate alerts
_LATE = rate("rerank_deadlines_total", where='met="false"')
_KNOWN = rate("rerank_deadlines_total")
_MOST_UNSCORED = 0.1  # of the alert on degradation
_RECEIVED, _SCORED = rate("rerank_candidates_received_total"), rate("rerank_candidates_scored_total")
_UNSCORED = f"({_RECEIVED} - {_SCORED})"


def board(budget_s: float) -> Board:
    """Return the dashboard, with this latency budget drawn in."""
    return Board(
        "overview",
        "Reranker: overview",
        "Rate, errors and duration of the workers, what waits for them, and whether the model's answers drift.",
        [_now(budget_s), _rate(), _errors(), _duration(budget_s), _waiting(), drift.row()],
    )


def _now(budget_s: float) -> Row:
    def number(title: str, meaning: str, expr: str, **more: object) -> Panel:
        given = {"unit": "short", "width": 3, **more}
        return Panel(title=title, meaning=meaning, queries=[Query("", expr)], kind="number", **given)  # type: ignore[arg-type]

    return Row(
        "Now",
        [
            number("Lists a second", "Results published.", rate("rerank_events_total"), unit="reqps"),
            number(
                "In their budgets",
                "Share of the results that were back in time.",
                f"1 - {share(_LATE, _KNOWN)}",
                unit="percentunit",
                limit=Limit(_OBJECTIVE, "below"),
            ),
            number(
                "Candidates scored",
                "Share of the candidates that were scored: a result may be in time because little of it was.",
                f"1 - {share(_UNSCORED, _RECEIVED)}",
                unit="percentunit",
                limit=Limit(1 - _MOST_UNSCORED, "below"),
            ),
            number(
                "Latency, p99",
                "From a record's timestamp to the acknowledgement of its result.",
                f"max({recorded('job:rerank_event_latency_seconds:p99_5m')})",
                unit="s",
                limit=Limit(budget_s),
            ),
            number(
                "Lag",
                "Age of the oldest request that is not done.",
                f"max({recorded('job:rerank_consumer_lag_seconds:max')})",
                unit="s",
                limit=Limit(60),
            ),
            number(
                "Backlog a worker",
                "How long the workers need for what waits, if nothing else came.",
                f"max({recorded('job:rerank_backlog_seconds:sum')} / {recorded('job:rerank_workers:count')})",
                unit="s",
                width=5,
            ),
            number(
                "Workers", "Replicas that answer Prometheus.", f"count({chosen('rerank_poll_age_seconds')})", width=4
            ),
        ],
    )


def _rate() -> Row:
    return Row(
        "Rate",
        [
            Panel(
                title="Lists by outcome",
                meaning="Results published, by how they came about: reranked as a whole, in part, or as they came.",
                unit="reqps",
                queries=[Query("{{outcome}}, {{reason}}", rate("rerank_events_total", "outcome, reason"))],
                stacked=True,
            ),
            Panel(
                title="Share of candidates scored",
                meaning="Of the candidates of the results published, those that have a score there.",
                unit="percentunit",
                queries=[Query("{{job}}", f"1 - {recorded('job:rerank_candidates_unscored:ratio5m')}")],
                limit=Limit(1 - _MOST_UNSCORED, "below"),
            ),
            Panel(
                title="Pairs",
                meaning="Pairs of query and candidate that were scored, by worker.",
                unit="ops",
                queries=[Query("{{instance}}", rate("rerank_pairs_total", "instance"))],
                stacked=True,
            ),
        ],
    )


def _errors() -> Row:
    return Row(
        "Errors",
        [
            Panel(
                title="Budgets missed",
                meaning="Share of the results that were late, over several windows; the objective is the line.",
                unit="percentunit",
                queries=[
                    Query("{{job}}, 5 minutes", recorded("job:rerank_deadlines_missed:ratio5m")),
                    Query("{{job}}, 1 hour", recorded("job:rerank_deadlines_missed:ratio1h")),
                    Query("{{job}}, 6 hours", recorded("job:rerank_deadlines_missed:ratio6h")),
                ],
                limit=Limit(1 - _OBJECTIVE),
                width=6,
            ),
            Panel(
                title="Dead letters",
                meaning="Events that could not be reranked, by reason.",
                unit="reqps",
                queries=[Query("{{reason}}", rate("rerank_dead_letters_total", "reason"))],
                width=6,
                stacked=True,
            ),
            Panel(
                title="Degraded lists",
                meaning="Share of the results that were not scored as a whole, or not at all, because time was short.",
                unit="percentunit",
                queries=[
                    Query("{{job}}, not as a whole", recorded("job:rerank_events_degraded:ratio5m")),
                    Query("{{job}}, not at all", recorded("job:rerank_events_unscored:ratio5m")),
                ],
                width=6,
                limit=Limit(_MOST_UNSCORED),
            ),
            Panel(
                title="Degraded while the device was idle",
                meaning="Share of the results that were not scored as a whole although nothing else waited.",
                unit="percentunit",
                queries=[Query("{{job}}", recorded("job:rerank_degraded_while_idle:ratio5m"))],
                width=6,
                limit=Limit(0.05),
            ),
        ],
    )


def _duration(budget_s: float) -> Row:
    return Row(
        "Duration",
        [
            Panel(
                title="Latency against the budget",
                meaning="From a record's timestamp to the acknowledgement of its result or dead letter.",
                unit="s",
                queries=[
                    Query(f"{{{{job}}}}, p{level}", recorded(f"job:rerank_event_latency_seconds:p{level}_5m"))
                    for level in (50, 95, 99)
                ],
                limit=Limit(budget_s),
                width=6,
            ),
            Panel(
                title="Where the time goes, p95",
                meaning="Time that an event spends in each stage.",
                unit="s",
                queries=[Query("{{job}}, {{stage}}", recorded("job_stage:rerank_stage_duration_seconds:p95_5m"))],
                width=6,
            ),
            Panel(
                title="Time left at dispatch",
                meaning="What is left to an event's deadline when its last pairs go to the model; below 0 it is late.",
                unit="s",
                queries=quantiles("rerank_slack_at_dispatch_seconds", 0.01, 0.1, 0.5),
                limit=Limit(0, "below"),
                width=6,
            ),
            Panel(
                title="How far clocks are apart",
                meaning=(
                    "Timestamps in the future (ahead), or from before their records can have been readable (behind): "
                    "the largest of five minutes. Deadlines count from timestamps."
                ),
                unit="s",
                queries=[Query("{{instance}}: {{direction}}", chosen("rerank_clock_skew_seconds"))],
                limit=Limit(0.5),
                width=6,
            ),
        ],
    )


def _waiting() -> Row:
    return Row(
        "What waits",
        [
            Panel(
                title="Lag in seconds",
                meaning="Age of the first record of each partition that is not done.",
                unit="s",
                queries=[by_partition("max", "rerank_consumer_lag_seconds")],
                limit=Limit(60),
            ),
            Panel(
                title="Backlog",
                meaning="Device time that what waits would take, each list scored as a whole, by worker.",
                unit="s",
                queries=[Query("{{instance}}", chosen("rerank_backlog_seconds"))],
            ),
            Panel(
                title="Workers and restarts",
                meaning="Replicas, and how often a process began again in the last quarter of an hour.",
                unit="short",
                queries=[
                    Query("{{job}}: workers", recorded("job:rerank_workers:count")),
                    Query("{{instance}}: restarts", f"changes({chosen('process_start_time_seconds')}[15m])"),
                ],
            ),
        ],
    )
