"""Reading a file of events: all good, or every bad line by name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.integration.line import event
from worker.events.codec import EventOptions
from worker.exits import Exit, StopError
from worker.tools.events_file import read_events

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to fill."""
    return tmp_path / "events.jsonl"


def lines(*numbers: int) -> str:
    return "".join(json.dumps(event(number)) + "\n" for number in numbers)


def refusal(file: Path) -> str:
    with pytest.raises(StopError) as caught:
        read_events(str(file), EventOptions())
    assert caught.value.code is Exit.USAGE
    return str(caught.value)


def test_every_bad_line_is_named_with_its_fault(file: Path) -> None:
    file.write_text(lines(1) + json.dumps({**event(2), "candidates": []}) + "\n" + lines(3) + "{\n")
    assert refusal(file).splitlines() == [
        f"{file}: 2 of 4 events cannot be reranked, so nothing was published",
        "  line 2: candidates: expected 1 to 1000, got 0",
        '  line 4: event: expected JSON, got "the end" at line 1 column 2: unexpected end of data',
    ]


def test_a_file_of_bad_lines_names_twenty_and_counts_the_rest(file: Path) -> None:
    file.write_text("[]\n" * 25)
    said = refusal(file).splitlines()
    assert said[20].startswith("  line 20: ")
    assert said[21:] == ["  and 5 more"]


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_a_file_without_an_event_is_an_error(file: Path, content: str) -> None:
    file.write_text(content)
    assert refusal(file) == f"{file}: expected one event a line, got no event; nothing was published"


def test_a_file_that_is_not_there_is_an_error(file: Path) -> None:
    assert refusal(file) == f"cannot read {file}: No such file or directory; nothing was published"


def test_blank_lines_and_windows_line_ends_are_no_events(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + lines(1).strip().encode() + b"\r\n\r\n" + lines(2).encode())
    events = read_events(str(file), EventOptions())
    assert [(one.line, one.request.request_id) for one in events] == [(1, "r1"), (3, "r2")]


def test_a_line_separator_inside_a_string_does_not_end_the_line(file: Path) -> None:
    file.write_text(json.dumps({**event(1), "query": "oak\u2028table\x85"}, ensure_ascii=False), encoding="utf-8")
    assert read_events(str(file), EventOptions())[0].request.query == "oak\u2028table\x85"
