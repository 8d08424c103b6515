"""Dead letters as rows and as JSON."""

from __future__ import annotations

import dataclasses
import io
from typing import TYPE_CHECKING

import orjson
import pytest
from rich.console import Console

from tests.tools.dead_letters.making import a_dead_letter, a_letter, as_record
from worker.tools.dead_letters.rows import Rows, as_json, counted, request_id, written

if TYPE_CHECKING:
    from rich.table import Table


def printed(table: Table) -> list[list[str]]:
    """Return the cells of a table's rows, by two spaces or more."""
    out = io.StringIO()
    Console(file=out, width=200).print(table)
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in out.getvalue().splitlines()]


def test_a_table_has_the_last_rows_by_time_and_says_how_many_it_has_not() -> None:
    rows = Rows(2)
    for number in (1, 3, 2):
        rows.add(as_record(a_letter(number), offset=number, timestamp_ms=number), a_dead_letter(number))
    assert [row[1] for row in printed(rows.table())[1:]] == ["0:2", "0:3"]
    assert rows.left_out() == "1 older ones are not shown; --rows shows more"


def test_a_row_says_when_where_why_and_which_event() -> None:
    rows = Rows(2)
    rows.add(as_record(a_letter(3)), a_dead_letter(3), "skipped: [because]")
    assert printed(rows.table())[1] == [
        "2026-11-22 00:00:00.125",
        "0:7",
        "schema",
        "rerank-requests 1:3",
        "1/0",
        "r3",
        "candidates: expected 1 to 1000, got 0",
        "skipped: [because]",
    ]
    assert rows.left_out() is None


def test_text_of_others_steers_no_terminal() -> None:
    steering = "\x1b]0;owned\x07\x9b2J\u202e\n"
    value = orjson.dumps({"request_id": "\x1b]52;"})
    letter = dataclasses.replace(a_dead_letter(value=value), message=steering)
    rows = Rows(1)
    rows.add(as_record(a_letter(3)), letter, f"to {letter.partition.topic}{steering}")
    for table in (rows.table(), counted({(f"sent to {steering}",): 1}, "what became of them")):
        out = io.StringIO()
        Console(file=out, width=300).print(table)
        assert all(each.isprintable() or each == "\n" for each in out.getvalue())
        assert "\\x1b]0;owned\\x07\\x9b2J\\u202e\\n" in out.getvalue()


def test_a_row_says_which_records_were_lost_together() -> None:
    rows = Rows(2)
    for number, lost in ((3, 1), (4, 5)):
        rows.add(as_record(a_letter(number)), a_dead_letter(number, lost=lost, reason="corrupt"))
    assert [row[3] for row in printed(rows.table())[1:]] == ["rerank-requests 1:3", "rerank-requests 1:4-8"]
    shown = as_json(as_record(a_letter(4)), a_dead_letter(4, lost=5, reason="corrupt"))
    assert shown["original"]["last_offset"] == 8


def test_counts_are_sorted_the_most_first() -> None:
    assert printed(counted({("a", "x"): 1, ("b", "y"): 3, ("c", "z"): 1}, "reason", "replay"))[1:] == [
        ["b", "y", "3"],
        ["a", "x", "1"],
        ["c", "z", "1"],
    ]


def test_json_has_the_place_of_the_letter_of_its_original_and_of_the_first_failure() -> None:
    shown = as_json(as_record(a_letter(3, key=b"\xff"), partition=2), a_dead_letter(3, key=b"\xff"))
    original = {"topic": "rerank-requests", "partition": 1, "offset": 3, "timestamp_ms": 1_795_305_600_000}
    assert shown["letter"] == {"partition": 2, "offset": 7}
    assert (shown["original"], shown["first"]) == (original, original)
    assert shown["written"] == shown["first_failure"] == "2026-11-22T00:00:00.125Z"
    assert (shown["key"], shown["request_id"]) == ("\\xff", "r3")


@pytest.mark.parametrize("value", [b"{", b"[]", b'{"request_id": 7}', b"{}", None])
def test_an_event_without_a_request_id_has_none(value: bytes | None) -> None:
    assert request_id(a_dead_letter(value=value)) is None


@pytest.mark.parametrize("timestamp_ms", [-1, 10**17, 2**63 - 1])
def test_a_time_that_is_none_is_a_dash(timestamp_ms: int) -> None:
    assert written(as_record(a_letter(), timestamp_ms=timestamp_ms)) == "-"
