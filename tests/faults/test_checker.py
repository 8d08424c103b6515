"""A checker that cannot fail shows nothing: each invariant is broken here by a history made for it, and by it alone."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

import pytest

from tests.faults.checker import INVARIANTS, applies, check
from tests.faults.history import Commit, Generation, History, Input, Outcome, Place, Step

if TYPE_CHECKING:
    from tests.faults.history import Delivery

BOTH: tuple[Delivery, ...] = ("at-least-once", "exactly-once")
SECOND = 1000


def _outcome(offset: int, after_s: int, **changes: Any) -> Outcome:
    """Make the result of partition 0's request, which the broker appended so many seconds after the start."""
    made = Outcome("result", Place(0, offset), b"k", after_s * SECOND, f"ranking {offset}", at=after_s)
    return made._replace(**changes)


def _history(delivery: Delivery, **changes: Any) -> History:
    """Make a run in which all is well: four requests of a key, the third of them bad, committed as they were done."""
    inputs = [Input(Place(0, offset), b"k", offset * SECOND) for offset in range(4)]
    inputs[2] = inputs[2]._replace(ends_as="dead letter")
    sound = History(
        delivery=delivery,
        inputs=inputs,
        outcomes=[_outcome(0, 2), _outcome(1, 3), _outcome(2, 4, kind="dead letter"), _outcome(3, 5)],
        group=[
            Generation(1, {0: "a"}, frozenset("a")),
            Commit(0, 1, 2 * SECOND, "a"),
            Commit(0, 2, 3 * SECOND, "a"),
            Generation(2, {}, frozenset("ab")),
            Commit(0, 3, 4 * SECOND, "a"),
            Generation(3, {0: "b"}, frozenset("ab")),
            Commit(0, 4, 5 * SECOND, "b"),
        ],
        steps=[
            Step("first", "assigned", (0,)),
            Step("first", "commit", (0,)),
            Step("first", "given up", (0,)),
            Step("second", "assigned", (0,)),
            Step("second", "commit", (0,)),
        ],
        lifted_ms=3 * SECOND,
        bound_s=2.0,
    )
    return dataclasses.replace(sound, **changes)


def _broken(history: History) -> dict[str, list[str]]:
    return {name: lines for name, lines in check(history).violations.items() if lines}


@pytest.mark.parametrize("delivery", BOTH)
def test_a_run_in_which_all_is_well_breaks_nothing(delivery: Delivery) -> None:
    findings = check(_history(delivery))
    assert findings.sound, findings.violations
    assert findings.violations.keys() == {name for name in INVARIANTS if applies(name, delivery)}
    assert findings.recovery_s == 2.0


def test_each_delivery_is_asked_for_what_it_promises() -> None:
    assert [name for name in INVARIANTS if not applies(name, "at-least-once")] == ["I3"]
    assert [name for name in INVARIANTS if not applies(name, "exactly-once")] == ["I4"]


@pytest.mark.parametrize("delivery", BOTH)
def test_a_request_without_an_outcome_breaks_i1(delivery: Delivery) -> None:
    sound = _history(delivery, group=())
    lost = dataclasses.replace(sound, outcomes=[each for each in sound.outcomes if each.source.offset != 1])
    assert _broken(lost) == {"I1": ["request 0:1 ended as nothing, expected a result"]}


@pytest.mark.parametrize("delivery", BOTH)
def test_a_good_request_that_ends_as_a_dead_letter_breaks_i1(delivery: Delivery) -> None:
    sound = _history(delivery)
    outcomes = [_outcome(0, 2, kind="dead letter"), *sound.outcomes[1:]]
    broken = _broken(dataclasses.replace(sound, outcomes=outcomes))
    assert broken == {"I1": ["request 0:0 ended as dead letter, expected a result"]}


def test_an_outcome_of_nothing_breaks_i1() -> None:
    sound = _history("exactly-once")
    outcomes = [*sound.outcomes, _outcome(4, 6)]
    assert _broken(dataclasses.replace(sound, outcomes=outcomes)) == {
        "I1": ["request 0:4 has an outcome and was never sent"]
    }


@pytest.mark.parametrize("delivery", BOTH)
def test_a_commit_before_the_outcome_breaks_i2(delivery: Delivery) -> None:
    early = [Generation(1, {0: "a"}, frozenset("a")), Commit(0, 2, 3 * SECOND - 1, "a")]
    assert _broken(_history(delivery, group=early)) == {"I2": ["request 0:2 was committed before request 0:1 was done"]}


@pytest.mark.parametrize("delivery", BOTH)
def test_a_commit_past_a_gap_breaks_i2_though_what_lies_behind_the_gap_is_done(delivery: Delivery) -> None:
    sound = _history(delivery)
    late = [_outcome(0, 7, at=1), *sound.outcomes[1:]]
    broken = _broken(dataclasses.replace(sound, outcomes=late))
    assert broken.keys() == {"I2"}
    assert broken["I2"][-1] == "request 0:4 was committed before request 0:0 was done"


def test_a_commit_of_a_lost_request_breaks_i2_as_well() -> None:
    sound = _history("at-least-once")
    lost = dataclasses.replace(sound, outcomes=sound.outcomes[:3])
    assert _broken(lost).keys() == {"I1", "I2", "I7"}


def test_offsets_that_were_never_given_out_are_no_gap() -> None:
    inputs = [Input(Place(0, offset), b"k", 9 * SECOND) for offset in (0, 1, 3)]
    outcomes = [_outcome(0, 2), _outcome(1, 3), _outcome(3, 4)]
    group = [Generation(1, {0: "a"}, frozenset("a")), Commit(0, 3, 3 * SECOND, "a"), Commit(0, 4, 4 * SECOND, "a")]
    assert _broken(_history("exactly-once", inputs=inputs, outcomes=outcomes, group=group)) == {}


def test_a_second_result_breaks_i3_and_is_a_duplicate_at_least_once() -> None:
    twice = [_outcome(0, 2), _outcome(0, 3), _outcome(1, 3, at=4), _outcome(2, 4, kind="dead letter"), _outcome(3, 5)]
    assert _broken(_history("exactly-once", outcomes=twice)) == {
        "I3": ["request 0:0 has 2 outcomes: result at 0:2, result at 0:3"]
    }
    assert _broken(_history("at-least-once", outcomes=twice)) == {}


@pytest.mark.parametrize("change", [{"content": "another ranking"}, {"key": b"another"}])
def test_an_unequal_duplicate_breaks_i4(change: dict[str, Any]) -> None:
    sound = _history("at-least-once")
    unequal = dataclasses.replace(sound, outcomes=[*sound.outcomes, _outcome(3, 6, **change)])
    (line,) = _broken(unequal)["I4"]
    assert line.startswith("request 0:3 has unequal duplicates: ")


@pytest.mark.parametrize("delivery", BOTH)
def test_a_result_before_that_of_an_earlier_request_of_its_key_breaks_i5(delivery: Delivery) -> None:
    swapped = [_outcome(1, 2), _outcome(0, 2, at=3), _outcome(2, 4, kind="dead letter"), _outcome(3, 5)]
    assert _broken(_history(delivery, outcomes=swapped, group=())) == {
        "I5": ["result of request 0:0 came behind that of request 0:1"]
    }


def test_exactly_once_keeps_the_order_of_the_partition_and_at_least_once_that_of_the_key() -> None:
    swapped = [
        _outcome(1, 2),
        _outcome(0, 2, at=3, key=b"other"),
        _outcome(2, 4, kind="dead letter"),
        _outcome(3, 5),
    ]
    assert _broken(_history("exactly-once", outcomes=swapped, group=())).keys() == {"I5"}
    assert _broken(_history("at-least-once", outcomes=swapped, group=())) == {}


def test_what_comes_again_after_a_crash_is_in_order_where_it_was_first() -> None:
    again = [_outcome(0, 2), _outcome(1, 3), _outcome(0, 3, at=4), _outcome(1, 3, at=5), _outcome(3, 5, at=6)]
    again += [_outcome(2, 4, kind="dead letter")]
    assert _broken(_history("at-least-once", outcomes=again)) == {}


@pytest.mark.parametrize("delivery", BOTH)
def test_an_accepted_commit_after_the_partition_went_to_another_breaks_i6(delivery: Delivery) -> None:
    sound = _history(delivery)
    late = [*sound.group, Commit(0, 4, 6 * SECOND, "a")]
    assert _broken(dataclasses.replace(sound, group=late)) == {
        "I6": ["request 0:4 was committed by a in generation 3, which gave it to b"]
    }


@pytest.mark.parametrize("delivery", BOTH)
def test_an_accepted_commit_of_one_that_is_no_member_breaks_i6(delivery: Delivery) -> None:
    group = [Generation(3, {}, frozenset("b")), Commit(0, 4, 6 * SECOND, "a")]
    assert _broken(_history(delivery, group=group)).keys() == {"I6"}


def test_an_attempt_to_commit_what_was_given_up_breaks_i6_though_the_group_refused_it() -> None:
    sound = _history("at-least-once")
    steps = [*sound.steps, Step("first", "commit", (0,))]
    assert _broken(dataclasses.replace(sound, steps=steps)) == {
        "I6": ["first tried to commit partitions [0], which it did not own"]
    }


@pytest.mark.parametrize("delivery", BOTH)
def test_a_worker_that_is_back_too_late_breaks_i7(delivery: Delivery) -> None:
    assert _broken(_history(delivery, bound_s=1.9)) == {
        "I7": ["back at work 2.0 s after the fault, the bound is 1.9 s"]
    }


@pytest.mark.parametrize("delivery", BOTH)
def test_a_worker_that_never_comes_back_breaks_i7_though_nothing_was_sent_after_the_fault(delivery: Delivery) -> None:
    findings = check(_history(delivery, lifted_ms=9 * SECOND))
    assert findings.recovery_s == math.inf
    assert findings.violations["I7"] == ["back at work never, the bound is 2 s"]
