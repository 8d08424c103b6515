"""The limits on what is in flight."""

from hypothesis import given
from hypothesis import strategies as st

from worker.admission.in_flight_limit import Door, DoorLimits


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


def test_bytes_shut_it_as_tokens_do() -> None:
    door = Door(DoorLimits(max_in_flight_bytes=1000))
    charges = [door.admit(300) for _ in range(4)]
    assert door.in_flight_bytes == 1200
    assert door.is_paused()
    for _ in range(2):
        door.release(charges.pop(), 300, 0)
        assert door.is_paused()
    door.release(charges.pop(), 300, 0)
    assert not door.is_paused()


def test_it_opens_when_both_limits_have_room_again() -> None:
    door = Door(DoorLimits(max_in_flight_tokens=100, max_in_flight_bytes=1000))
    large, many = door.admit(1000), [door.admit(0) for _ in range(4)]
    assert door.is_paused()
    door.release(large, 1000, 0)
    assert door.is_paused()  # no bytes are left, but 64 tokens
    door.release(many.pop(), 0, 0)
    assert not door.is_paused()


def test_events_that_are_mostly_metadata_do_not_fill_the_memory() -> None:
    door = Door(DoorLimits())
    for _ in range(600):
        door.release(door.admit(2_000_000), 2_000_000, 60)
    admitted = 0
    while not door.is_paused():
        door.admit(2_000_000)
        admitted += 1
    assert admitted == 68  # of 2 MB each in 128 MiB; by their tokens alone it would be thousands


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
    assert (door.in_flight_tokens, door.in_flight_bytes) == (0, 0)
