"""Which dead letters are chosen, and which of those are sent back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.tools.letters.making import LETTERS, a_dead_letter, a_letter, as_record
from worker.dead_letters import REASONS, DeadLetter, read, replayed_headers
from worker.exits import Exit, StopError
from worker.jobs import Refused
from worker.kafka_io.refusals import MOST_HEADERS
from worker.tools.letters import choice as choice_module
from worker.tools.letters.choice import (
    CORRUPT,
    MANY_HEADERS,
    MISNAMED,
    OWN,
    REPLAYED,
    TOMBSTONE,
    VALUE_DROPPED,
    Choice,
    choose,
)
from worker.tools.letters.options import ChoiceOptions, ReplayOptions

NOW_S = 1_795_305_600.0  # 2026-11-22T00:00:00Z
LETTER = a_dead_letter()


def chosen(**options: Any) -> Choice:
    return choose(ChoiceOptions(**options), NOW_S)


def why_not(letter: DeadLetter, max_replays: int, to: str | None = None) -> str | None:
    return choice_module.why_not(as_record(a_letter()), letter, ReplayOptions(max_replays=max_replays, to=to))


def takes(choice: Choice, **place: int) -> bool:
    return choice.takes(as_record(a_letter(), **place), LETTER)


def test_without_options_every_dead_letter_is_chosen() -> None:
    assert takes(chosen())


def test_reasons_choose_theirs_alone() -> None:
    assert takes(chosen(reason=("model", "schema")))
    assert not takes(chosen(reason=("model",)))


@pytest.mark.parametrize(
    ("text", "time_ms"),
    [
        ("90s", 1_795_305_510_000),
        ("30m", 1_795_303_800_000),
        ("2h", 1_795_298_400_000),
        ("7d", 1_794_700_800_000),
        ("2026-11-22", 1_795_305_600_000),
        ("2026-11-22T00:00:00.125Z", 1_795_305_600_125),
        ("2026-11-22 01:00:00+01:00", 1_795_305_600_000),
    ],
)
def test_a_time_is_iso_8601_or_how_long_ago(text: str, time_ms: int) -> None:
    assert (chosen(since=text).since_ms, chosen(until=text).until_ms) == (time_ms, time_ms)


def test_a_time_counts_from_the_first_and_without_the_last_millisecond() -> None:
    choice = Choice(since_ms=10, until_ms=20)
    assert [takes(choice, timestamp_ms=ms) for ms in (9, 10, 19, 20)] == [False, True, True, False]


@pytest.mark.parametrize(
    ("text", "inside"),
    [("3-5", [False, True, True, False]), ("3-", [False, True, True, True]), ("-5", [True] * 3 + [False])],
)
def test_offsets_are_a_range_with_both_ends(text: str, inside: list[bool]) -> None:
    assert [takes(chosen(offsets=text), offset=offset) for offset in (2, 3, 5, 6)] == inside


def test_a_partition_is_one_of_the_dead_letter_topic() -> None:
    assert [takes(chosen(partition=1), partition=number) for number in (0, 1)] == [False, True]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"reason": ("schema", "scheme")}, "--reason: expected one of tombstone, .*, got 'scheme'"),
        ({"since": "yesterday"}, "--since: expected an ISO 8601 time or how long ago .*, got 'yesterday'"),
        ({"until": "2h ago"}, "--until: expected"),
        ({"offsets": "-"}, "--offsets: expected A-B, A- or -B, got '-'"),
        ({"offsets": "5"}, "--offsets: expected A-B, A- or -B, got '5'"),
    ],
)
def test_what_cannot_be_understood_is_named_with_what_was_expected(options: dict[str, Any], message: str) -> None:
    with pytest.raises(StopError, match=message) as wrong:
        chosen(**options)
    assert wrong.value.code is Exit.USAGE


@given(st.text(max_size=30), st.sampled_from(["since", "until", "offsets"]))
def test_any_text_is_understood_or_refused_in_one_line(text: str, option: str) -> None:
    refused = None
    try:
        chosen(**{option: text})
    except StopError as error:
        refused = error
    assert refused is None or (refused.code is Exit.USAGE and "\n" not in str(refused))


@pytest.mark.parametrize("reason", sorted(set(REASONS) - {"tombstone", "corrupt"}))
def test_a_dead_letter_with_its_value_is_sent_back_whatever_the_reason(reason: str) -> None:
    assert why_not(a_dead_letter(reason=reason), 1) is None


def test_a_dead_letter_without_its_value_is_not_sent_back() -> None:
    assert why_not(a_dead_letter(keep="key_and_headers"), 3) == VALUE_DROPPED
    assert why_not(a_dead_letter(keep="nothing"), 3) == VALUE_DROPPED
    assert why_not(a_dead_letter(value=None, reason="tombstone"), 3) == TOMBSTONE
    assert why_not(a_dead_letter(lost=3, reason="corrupt"), 3) == CORRUPT


def test_a_dead_letter_that_would_not_come_back_as_it_was_is_not_sent_back() -> None:
    most = tuple((f"h{number}", b"") for number in range(MOST_HEADERS))
    assert why_not(a_dead_letter(headers=most[10:]), 3) is None
    assert why_not(a_dead_letter(headers=most), 3) == MANY_HEADERS
    record = replace(as_record(a_letter()), refused=Refused("not_utf8", "expected names in UTF-8", "headers", 7))
    assert choice_module.why_not(record, read(record), ReplayOptions()) == MISNAMED


def test_a_dead_letter_of_a_record_of_the_dead_letter_topic_is_sent_back_to_another_topic_alone() -> None:
    assert why_not(a_dead_letter(topic=LETTERS), 3) == OWN
    assert why_not(a_dead_letter(topic=LETTERS), 3, to="rerank-requests") is None


def test_an_event_is_sent_back_as_often_as_is_allowed() -> None:
    letter, fates = LETTER, []
    for _ in range(3):
        fates.append(why_not(letter, 2))
        letter = a_dead_letter(headers=tuple(replayed_headers(letter)))
    assert fates == [None, None, REPLAYED]
