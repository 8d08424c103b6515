"""Results judged: in time or not, true or not, lost or doubled."""

from __future__ import annotations

import math
from typing import Any

import pytest

from worker.tools.bench.result_checks import Flown, fault_of, tally, together


def row(previous_rank: int, score: float | None) -> dict[str, Any]:
    return {"id": f"p{previous_rank}", "previous_rank": previous_rank, "score": score}


RERANKED = [row(2, 0.9), row(1, 0.5), row(3, 0.5)]


def flown(
    came_s: float = 0.05,
    *,
    published_s: float | None = None,
    met: bool = True,
    outcome: str = "reranked",
    ranking: list[dict[str, Any]] | None = None,
) -> Flown:
    result = {"deadline_met": met, "outcome": outcome, "ranking": RERANKED if ranking is None else ranking}
    published = came_s if published_s is None else published_s
    return Flown(3, budget_s=0.1, came_s=came_s, published_s=published, result=result, copies=1)


LOST = Flown(3, budget_s=0.1)


def test_a_result_that_says_what_is_so_has_no_fault() -> None:
    assert fault_of(flown(), 0.01) is None
    assert fault_of(flown(0.2, met=False), 0.01) is None
    assert fault_of(flown(outcome="partial", ranking=[row(2, 0.9), row(1, None), row(3, None)]), 0.01) is None
    assert fault_of(flown(outcome="passthrough", ranking=[row(1, None), row(2, None), row(3, None)]), 0.01) is None


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        ("deadline_met, but published late", flown(0.2, published_s=0.111)),
        ("deadline missed, but read in time", flown(met=False)),
        ("called reranked, but partial", flown(ranking=[row(2, 0.9), row(1, None), row(3, None)])),
        ("called partial, but reranked", flown(outcome="partial")),
        ("called partial, but passthrough", flown(outcome="partial", ranking=[row(n, None) for n in (1, 2, 3)])),
        ("not in the order of the scores", flown(ranking=[row(1, 0.5), row(2, 0.9), row(3, 0.1)])),
        ("not every candidate, once", flown(ranking=[row(1, 0.5), row(2, 0.4)])),
        ("not every candidate, once", flown(ranking=[row(1, 0.5), row(1, 0.4), row(3, 0.3)])),
        (
            "unscored candidates not in their order",
            flown(outcome="partial", ranking=[row(2, 0.9), row(3, None), row(1, None)]),
        ),
        (
            "an unscored candidate before a scored one",
            flown(outcome="partial", ranking=[row(1, None), row(2, 0.9), row(3, None)]),
        ),
    ],
)
def test_a_result_that_says_what_is_not_so_is_found(fault: str, result: Flown) -> None:
    assert fault_of(result, 0.01) == fault
    assert tally([result], tolerance_s=0.01).faults == {fault: 1}


def test_a_label_may_be_wrong_by_the_tolerance_either_way() -> None:
    assert fault_of(flown(0.2, published_s=0.109), 0.01) is None
    assert fault_of(flown(0.091, met=False), 0.01) is None
    assert fault_of(flown(0.089, met=False), 0.01) == "deadline missed, but read in time"


def test_the_tolerance_hides_no_result_that_says_met_and_was_read_late() -> None:
    late = flown(0.1001, published_s=0.0999)
    counted = tally([flown(), late, flown(), flown(), flown(0.2, met=False), LOST], tolerance_s=0.01)
    assert (counted.claimed, counted.met_but_late, counted.mislabelled) == (4, 1, 0)
    assert counted.share_met_but_late == pytest.approx(1 / 4)
    assert together([counted, counted]).share_met_but_late == pytest.approx(1 / 4)
    assert tally([LOST], tolerance_s=0.01).share_met_but_late == 0


def test_what_is_lost_counts_against_the_share_and_the_latency() -> None:
    counted = tally([flown(0.05), flown(0.2, met=False), LOST], tolerance_s=0.01)
    assert (counted.events, counted.in_budget, counted.claimed, counted.lost) == (3, 1, 1, 1)
    assert counted.share_in_budget == pytest.approx(1 / 3)
    assert counted.quantiles_ms() == [200.0, math.inf, math.inf]


def test_a_second_copy_and_a_dead_letter_are_counted_apart() -> None:
    twice = flown()
    twice.copies = 3
    refused = Flown(3, budget_s=0.1, came_s=0.05, copies=1, refused="no text")
    counted = tally([twice, refused], tolerance_s=0.01)
    assert (counted.repeated, counted.refused, counted.lost) == (2, 1, 0)


def test_runs_add_up() -> None:
    runs = [tally([flown(), LOST], tolerance_s=0.01), tally([flown(met=False)], tolerance_s=0.01)]
    total = together(runs)
    assert (total.events, total.lost, total.in_budget, total.mislabelled) == (3, 1, 2, 1)
    assert total.outcomes == {"reranked": 2}
    assert total.share_of("reranked") == pytest.approx(2 / 3)
