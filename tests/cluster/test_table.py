"""The table of the cluster test says what was done and what became of the requests."""

from __future__ import annotations

from tests.cluster.load import Outage, Outcome
from tests.cluster.table import Table


def test_a_row_has_what_became_of_the_requests_where_there_were_any() -> None:
    table = Table()
    table.add("a rolling update", "60 s", Outcome(sent=1_000, lost=0, repeated=3, late=15, unranked=20, wrong=[]))
    table.add("wrong password", "not ready")
    outage = Outage(took_s=6.4, late_outside=1)
    table.add("a kill", "18 s", Outcome(sent=200, lost=0, repeated=1, late=30, unranked=29, wrong=[], outage=outage))
    _, _, first, second, third, _, _ = table.lines()
    assert first == "| a rolling update | 60 s | 1,000 | 0 | 3 | 1.5% | 2.0% |  |  |"
    assert second == "| wrong password | not ready |  |  |  |  |  |  |  |"
    assert third == "| a kill | 18 s | 200 | 0 | 1 | 15.0% | 14.5% | 6.4 s | 1 |"
