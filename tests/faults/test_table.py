"""The table says what was run and what was broken."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest

from tests.faults.checker import Findings
from tests.faults.cluster import Cluster
from tests.faults.table import Table

if TYPE_CHECKING:
    from pathlib import Path

SOUND: dict[str, list[str]] = {"I1": [], "I2": []}
MARKS = "before\n<!-- the table of the suite -->\nold\n<!-- its end -->\nafter\n"


@pytest.fixture
def table() -> Table:
    table = Table()
    table.expect("kill", "at-least-once", bound_s=30)
    table.expect("kill", "exactly-once", bound_s=30)
    table.add("kill", "at-least-once", Findings(SOUND, 1.25), requests=100, ends=Counter({-9: 2}))
    table.add("kill", "at-least-once", Findings({**SOUND, "I2": ["a", "b"]}, 0.5), requests=50, ends=Counter({-9: 1}))
    return table


def test_a_row_counts_its_runs_and_those_that_broke_something(table: Table) -> None:
    _, _, first, second, _, summary = table.lines()
    cells = [cell.strip() for cell in first.strip("|").split("|")]
    assert cells == ["kill", "at-least-once", "2", "✓", "1 broken", "n/a", "✓", "✓", "✓", "✓", "1.2 s", "30 s"]
    assert second.count("not tried") == 6
    assert summary == "2 runs, 150 requests, 3 workers killed with -9, 0 ended otherwise; 1 invariants broken."


def test_what_the_brokers_have_broken_is_neither_sound_nor_the_workers(table: Table) -> None:
    twice = Findings({"I1": [], "I3": ["request 0:1 has 2 outcomes"]}, 1.0)
    table.add("kill", "exactly-once", twice.excusing("I3"), requests=1, ends=Counter())
    _, _, _, second, _, summary = table.lines()
    assert [cell.strip() for cell in second.split("|")][4:7] == ["✓", "✓", "1 by Kafka"]
    assert "; 1 invariants broken." in summary
    assert twice.excusing("I3").sound
    assert not twice.sound


def test_a_broker_says_whose_markers_it_has_skipped(tmp_path: Path) -> None:
    cluster = Cluster(tmp_path, tmp_path)
    assert not cluster.has_skipped_markers("mine")
    (tmp_path / "broker-1.log").write_text(
        "[2026-11-26 08:10:02,718] INFO [Transaction Marker Channel Manager 1]: Couldn't find leader endpoint for "
        "partitions HashSet(results-0) while trying to send transaction markers for mine-0, these partitions are "
        "likely deleted already and hence can be skipped"
    )
    assert cluster.has_skipped_markers("mine")
    assert not cluster.has_skipped_markers("of another")


def test_it_is_put_between_its_marks_and_nothing_else_is_changed(table: Table, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(MARKS)
    for _ in range(2):
        table.write(page)
    assert page.read_text().startswith("before\n<!-- the table of the suite -->\n\n| fault")
    assert page.read_text().endswith("invariants broken.\n\n<!-- its end -->\nafter\n")
    assert "old" not in page.read_text()


def test_a_page_without_the_marks_is_refused(table: Table, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(ValueError, match="once, got them 0 times"):
        table.write(page)
