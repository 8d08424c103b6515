"""How `rerank-worker top` writes numbers."""

from __future__ import annotations

import pytest

from worker.tools.top.words import duration, latency, percent, rate


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        *((0.0, "0.0 ms"), (0.0082, "8.2 ms"), (0.34, "340 ms"), (0.9996, "1.0 s"), (2.14, "2.1 s")),
        *((45.2, "45 s"), (119.6, "120 s"), (720, "12 min"), (12_000, "3 h 20 min"), (367_200, "4 d 6 h")),
    ],
)
def test_a_time_is_in_the_unit_that_reads_best(seconds: float, written: str) -> None:
    assert duration(seconds) == written


def test_a_latency_above_the_last_edge_is_not_said_to_be_known() -> None:
    assert [latency(seconds) for seconds in (None, 9.9, 10.0)] == ["-", "9.9 s", "over 10 s"]


def test_a_share_is_rounded_but_never_up_to_all() -> None:
    shares = (None, 0.0, 0.5, 0.998, 0.99996, 1.0)
    assert [percent(share) for share in shares] == ["-", "0%", "50%", "99.8%", "99.9%", "100%"]


def test_a_rate_has_a_part_only_where_it_is_small() -> None:
    assert [rate(value) for value in (0.04, 42.13, 1052.4)] == ["0.0", "42.1", "1,052"]
