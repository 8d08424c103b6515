"""What the cluster test says of its requests is what the topics have."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.load import OUTAGE_S, Outage, Outcome, Request, judge

SENT = {(0, 0): Request(1_000, ["a", "b"]), (0, 1): Request(2_000, ["a", "b"])}


def _result(offset: int, *ranking: str, outcome: str = "reranked") -> dict[str, Any]:
    return {
        "source": {"partition": 0, "offset": offset},
        "outcome": outcome,
        "ranking": [{"id": candidate} for candidate in ranking],
    }


def test_a_result_in_time_for_each_request_is_all_well() -> None:
    outcome = judge(SENT, [(1_900, _result(0, "b", "a")), (2_100, _result(1, "a", "b"))], 1_000)
    assert outcome == Outcome(sent=2, lost=0, repeated=0, late=0, unranked=0, wrong=[])


def test_a_request_without_a_result_is_lost() -> None:
    assert judge(SENT, [(1_900, _result(0, "b", "a"))], 1_000).lost == 1


def test_a_repeated_request_counts_by_its_first_result() -> None:
    results = [(1_900, _result(0, "b", "a")), (2_900, _result(0, "a", "b", outcome="passthrough"))]
    outcome = judge(SENT, results, 1_000)
    assert (outcome.repeated, outcome.late, outcome.unranked) == (1, 0, 0)


def test_a_result_after_its_budget_is_late_and_one_that_was_not_scored_is_unranked() -> None:
    outcome = judge(SENT, [(2_001, _result(0, "a", "b", outcome="partial")), (2_100, _result(1, "a", "b"))], 1_000)
    assert (outcome.late, outcome.unranked, outcome.late_share) == (1, 1, 0.5)


@pytest.mark.parametrize(
    ("sent_ms", "result_ms", "outage"),
    [
        (4_000, 5_900, Outage(0.9, 0)),  # in hand when it was killed
        (4_000, 5_200, Outage(0.2, 0)),
        (3_000, 4_900, Outage(0.0, 1)),  # late before
        (9_000, 11_500, Outage(6.5, 0)),
        (9_000, 9_900, Outage(0.0, 0)),  # in time
        (5_001 + OUTAGE_S * 1000, 20_000, Outage(0.0, 1)),
    ],
)
def test_only_what_was_sent_before_the_group_missed_a_killed_worker_is_late_for_its_sake(
    sent_ms: int, result_ms: float, outage: Outage
) -> None:
    sent = {(0, 0): Request(sent_ms, ["a"])}
    assert judge(sent, [(result_ms, _result(0, "a"))], 1_000, killed_ms=5_000).outage == outage


def test_a_ranking_that_lacks_or_repeats_a_candidate_is_wrong() -> None:
    outcome = judge(SENT, [(1_900, _result(0, "a")), (2_100, _result(1, "a", "b", "b"))], 1_000)
    assert len(outcome.wrong) == 2
