"""The one limit on what is in flight."""

from hypothesis import given
from hypothesis import strategies as st

from worker.door import Door, DoorLimits


def test_it_shuts_at_the_limit_and_opens_again_below_half_of_it() -> None:
    door = Door(DoorLimits(max_in_flight_tokens=100))
    charges = [door.admit(4 * 30) for _ in range(4)]
    assert charges == [30, 30, 30, 30]
    assert door.is_paused()
    door.release(30, 0, 0)
    door.release(30, 0, 0)
    assert door.in_flight_tokens == 60
    assert door.is_paused()  # below the limit, and not yet below half of it
    door.release(30, 0, 0)
    assert not door.is_paused()


def test_a_record_without_bytes_costs_something() -> None:
    assert Door(DoorLimits()).admit(0) == Door.MIN_CHARGE


def test_the_charge_for_a_byte_follows_what_events_really_have() -> None:
    door = Door(DoorLimits())
    for _ in range(1000):
        door.release(door.admit(1000), 1000, 500)
    assert door.admit(1000) == 500


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), max_size=50))
def test_what_came_in_goes_out_whole(events: list[tuple[int, int]]) -> None:
    door = Door(DoorLimits())
    charges = [door.admit(size) for size, _ in events]
    for charge, (size, tokens) in zip(charges, events, strict=True):
        door.release(charge, size, tokens)
    assert door.in_flight_tokens == 0
