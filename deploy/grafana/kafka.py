"""Kafka: who owns what, how far behind it is, and how commits and transactions end."""

from __future__ import annotations

from deploy.grafana.panels import Board, Limit, Panel, Query, Row, by_partition, chosen, quantiles, rate


def board() -> Board:
    """Return the dashboard."""
    return Board(
        "kafka",
        "Reranker: Kafka",
        "Assignment and rebalances of the group, lag of each partition, commits and transactions.",
        [_group(), _lag(), _commits(), _transactions()],
    )


def _group() -> Row:
    return Row(
        "Group",
        [
            Panel(
                title="Partitions owned",
                meaning="Of the request topic, by worker. A worker without any has nothing to do.",
                unit="short",
                queries=[Query("{{instance}}", chosen("rerank_partitions_assigned"))],
                stacked=True,
                width=6,
            ),
            Panel(
                title="Rebalances in 5 minutes",
                meaning="Lost ones were not handed over: the group had thrown the worker out.",
                unit="short",
                queries=[Query("{{kind}}", f"sum by (kind) (increase({chosen('rerank_rebalances_total')}[5m]))")],
                width=6,
            ),
            Panel(
                title="Jumps of positions in 5 minutes",
                meaning="Ahead: requests were lost before they were read. Back: they are read again.",
                unit="short",
                queries=[
                    Query(
                        "{{direction}}", f"sum by (direction) (increase({chosen('rerank_position_jumps_total')}[5m]))"
                    )
                ],
                width=6,
            ),
            Panel(
                title="Read again",
                meaning="Events put aside because their partition or their transaction was given up.",
                unit="reqps",
                queries=[Query("{{instance}}", rate("rerank_dropped_total", "instance"))],
                width=6,
            ),
        ],
    )


def _lag() -> Row:
    return Row(
        "Lag",
        [
            Panel(
                title="Records not done",
                meaning="Those not received yet, and those inside the worker.",
                unit="short",
                queries=[by_partition("sum", "rerank_consumer_lag_records")],
                stacked=True,
            ),
            Panel(
                title="Age of the oldest",
                meaning="Of the records of each partition that are not done.",
                unit="s",
                queries=[by_partition("max", "rerank_consumer_lag_seconds")],
                limit=Limit(60),
            ),
            Panel(
                title="Main loop",
                meaning="Time since it last went round; at --stuck-limit-s the worker ends itself.",
                unit="s",
                queries=[Query("{{instance}}", chosen("rerank_poll_age_seconds"))],
                limit=Limit(60),
            ),
        ],
    )


def _commits() -> Row:
    return Row(
        "Commits",
        [
            Panel(
                title="Commits",
                meaning="A commit is refused where the group has gone on without this worker.",
                unit="ops",
                queries=[Query("{{result}}", rate("rerank_commits_total", "result"))],
                width=8,
            ),
            Panel(
                title="Without success for",
                meaning="Time since a worker began to commit, or to end a transaction, without success so far.",
                unit="s",
                queries=[Query("{{instance}}", chosen("rerank_commit_age_seconds"))],
                width=8,
                limit=Limit(60),
            ),
            Panel(
                title="Oldest outcome on its way",
                meaning="At least once: sent and not acknowledged. At --delivery-timeout-s the client gives it up.",
                unit="s",
                queries=[Query("{{instance}}", chosen("rerank_outcome_age_seconds"))],
                width=8,
                limit=Limit(120),
            ),
        ],
    )


def _transactions() -> Row:
    return Row(
        "Transactions (--delivery exactly-once)",
        [
            Panel(
                title="Transactions",
                meaning="By how they ended.",
                unit="ops",
                queries=[Query("{{result}}", rate("rerank_transactions_total", "result"))],
            ),
            Panel(
                title="How long they are",
                meaning="From a transaction's first record to its end: readers of committed records wait so long.",
                unit="s",
                queries=quantiles("rerank_transaction_seconds", 0.5, 0.95),
            ),
            Panel(
                title="How long their ends take",
                meaning="Of that time, what the broker takes to end one.",
                unit="s",
                queries=quantiles("rerank_transaction_end_seconds", 0.5, 0.95),
            ),
        ],
    )
