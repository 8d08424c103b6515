"""Ranked lists in a terminal."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console

from worker.tools.ranked_table import move, side_by_side, title


def printed(table: object) -> list[str]:
    console = Console(width=60)
    with console.capture() as capture:
        console.print(table)
    return [" ".join(line.split()) for line in capture.get().splitlines()]


def row(rank: int, before: int) -> dict[str, Any]:
    return {"rank": rank, "previous_rank": before}


@pytest.mark.parametrize(("before", "after", "shown"), [(5, 2, "↑3"), (1, 3, "↓2"), (4, 4, "=")])
def test_a_move_is_marked_with_its_direction(before: int, after: int, shown: str) -> None:
    assert move(row(after, before)).plain == shown


def test_both_orders_stand_side_by_side_with_their_judgements() -> None:
    request = {
        "candidates": [
            {"id": "a", "fields": {"title": "lamp"}, "relevance": 0},
            {"id": "b", "fields": {"title": "drill [18V]"}, "relevance": 1},
            {"id": "c", "text": "saw"},
        ]
    }
    assert printed(side_by_side(request, [row(1, 2), row(2, 3), row(3, 1)], top=2)) == [
        "rel before moved rel after",
        "1 0 lamp ↑1 1 drill [18V]",
        "2 1 drill [18V] ↑1 - saw",
    ]


def test_without_judgements_there_is_no_column_for_them() -> None:
    request = {"candidates": [{"id": "a", "text": "lamp"}]}
    assert printed(side_by_side(request, [row(1, 1)], top=5)) == ["before moved after", "1 lamp = lamp"]


def test_a_long_title_is_cut_and_never_wraps() -> None:
    request = {"candidates": [{"id": "a", "text": "lamp " * 40}]}
    assert len(printed(side_by_side(request, [row(1, 1)], top=5))) == 2


@pytest.mark.parametrize(
    ("candidate", "shown"),
    [
        ({"id": "a", "fields": {"title": "lamp"}, "text": "x"}, "lamp"),
        ({"id": "a", "fields": {"brand": "x"}, "text": "desk lamp"}, "desk lamp"),
        ({"id": "a", "fields": None}, "a"),
    ],
)
def test_a_candidate_is_called_by_its_title_else_its_text_else_its_id(candidate: dict[str, Any], shown: str) -> None:
    assert title(candidate) == shown
