"""The readers survive what `make fuzz` makes, and it finds what does not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz import fuzz, read_event, read_letter
from worker.events.codec import REASONS

if TYPE_CHECKING:
    from random import Random


def test_every_mutated_event_is_valid_or_refused_and_every_reason_occurs() -> None:
    findings = fuzz(1, range(8_000), {"event": read_event})
    assert findings.crashes == []
    assert {outcome for _, outcome in findings.outcomes} == {"valid", *REASONS}


def test_every_mutated_dead_letter_is_valid_or_a_clear_error() -> None:
    findings = fuzz(1, range(3_000), {"dead letter": read_letter})
    assert findings.crashes == []
    assert {outcome for _, outcome in findings.outcomes} == {"valid", "not a dead letter"}


def test_a_crash_is_found_and_comes_again_with_its_seed_and_number() -> None:
    def reader(chance: Random) -> str:
        return str(1 // chance.randrange(10))

    found = [number for number, _, trace in fuzz(7, range(100), {"x": reader}).crashes if "ZeroDivisionError" in trace]
    assert found
    assert all(fuzz(7, range(number, number + 1), {"x": reader}).crashes for number in found)
    assert fuzz(7, range(100), {"x": reader}).outcomes["x", "CRASH"] == len(found)
