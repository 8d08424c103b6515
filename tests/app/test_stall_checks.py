"""Which limits the watchdog has."""

import pytest

from worker.app.stall_checks import Heartbeats, awaited, checks
from worker.config.settings import load
from worker.exits import Exit
from worker.flow.stage_threads import Heartbeat


def test_each_thread_has_the_limit_and_a_status_of_its_own_and_a_commit_as_long_as_a_delivery_besides() -> None:
    heartbeats = Heartbeats(*(Heartbeat() for _ in range(3)))
    for age_s, heartbeat in enumerate(heartbeats, 1):
        heartbeat.beat(-100 * age_s)
    settings = load({"stuck_limit_s": 30, "delivery_timeout_s": 100}, {})
    found = checks(settings, heartbeats, commit_age_s=lambda: 500, outcome_age_s=lambda: 400)
    assert [(each.code, each.limit_s, round(each.age_s(), -2)) for each in found] == [
        (Exit.STUCK_POLL, 30, 100),
        (Exit.STUCK_SCORER, 30, 200),
        (Exit.STUCK_PUBLISHER, 30, 300),
        (Exit.STUCK_PUBLISHER, 105, 400),
        (Exit.STUCK_COMMIT, 130, 500),
    ]


def test_a_transaction_may_also_take_what_its_waits_may() -> None:
    flags = {"stuck_limit_s": 30, "delivery_timeout_s": 100, "transaction_timeout_s": 10, "delivery": "exactly-once"}
    *_, commits = checks(load(flags, {}), Heartbeats.new(), lambda: 0, lambda: 0)
    assert commits.limit_s == 170
    assert commits.option == "--stuck-limit-s and --delivery-timeout-s and 4 times --transaction-timeout-s"


@pytest.mark.parametrize(("live_limit_s", "delivery_timeout_s", "limit_s"), [(60, 120, 125), (60, 4, 60), (2, 4, 9)])
def test_livez_waits_for_an_acknowledgement_as_long_as_the_client_may(
    live_limit_s: float, delivery_timeout_s: float, limit_s: float
) -> None:
    settings = load({"live_limit_s": live_limit_s, "delivery_timeout_s": delivery_timeout_s}, {})
    (found,) = awaited(settings, lambda: 7)
    assert (found.limit_s, found.age_s()) == (limit_s, 7)
