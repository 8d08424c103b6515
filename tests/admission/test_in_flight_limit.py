"""The limits on what is in flight."""

from hypothesis import given
from hypothesis import strategies as st

from worker.admission.in_flight_limit import InFlightLimit, InFlightOptions


def test_it_shuts_at_the_limit_and_opens_again_below_half_of_it() -> None:
    in_flight_limit = InFlightLimit(InFlightOptions(max_in_flight_tokens=100))
    reserved = [in_flight_limit.reserve(4 * 30) for _ in range(4)]
    assert reserved == [30, 30, 30, 30]
    assert in_flight_limit.is_paused()
    in_flight_limit.release(30, 0, 0)
    in_flight_limit.release(30, 0, 0)
    assert in_flight_limit.in_flight_tokens == 60
    assert in_flight_limit.is_paused()  # below the limit, and not yet below half of it
    in_flight_limit.release(30, 0, 0)
    assert not in_flight_limit.is_paused()


def test_bytes_shut_it_as_tokens_do() -> None:
    in_flight_limit = InFlightLimit(InFlightOptions(max_in_flight_bytes=1000))
    reserved = [in_flight_limit.reserve(300) for _ in range(4)]
    assert in_flight_limit.in_flight_bytes == 1200
    assert in_flight_limit.is_paused()
    for _ in range(2):
        in_flight_limit.release(reserved.pop(), 300, 0)
        assert in_flight_limit.is_paused()
    in_flight_limit.release(reserved.pop(), 300, 0)
    assert not in_flight_limit.is_paused()


def test_it_opens_when_both_limits_have_room_again() -> None:
    in_flight_limit = InFlightLimit(InFlightOptions(max_in_flight_tokens=100, max_in_flight_bytes=1000))
    large, many = in_flight_limit.reserve(1000), [in_flight_limit.reserve(0) for _ in range(4)]
    assert in_flight_limit.is_paused()
    in_flight_limit.release(large, 1000, 0)
    assert in_flight_limit.is_paused()  # no bytes are left, but 64 tokens
    in_flight_limit.release(many.pop(), 0, 0)
    assert not in_flight_limit.is_paused()


def test_events_that_are_mostly_metadata_do_not_fill_the_memory() -> None:
    in_flight_limit = InFlightLimit(InFlightOptions())
    for _ in range(600):
        in_flight_limit.release(in_flight_limit.reserve(2_000_000), 2_000_000, 60)
    admitted = 0
    while not in_flight_limit.is_paused():
        in_flight_limit.reserve(2_000_000)
        admitted += 1
    assert admitted == 68  # of 2 MB each in 128 MiB; by their tokens alone it would be thousands


def test_a_record_without_bytes_costs_something() -> None:
    assert InFlightLimit(InFlightOptions()).reserve(0) == InFlightLimit.MIN_TOKENS


def test_the_charge_for_a_byte_follows_what_events_really_have() -> None:
    in_flight_limit = InFlightLimit(InFlightOptions())
    for _ in range(1000):
        in_flight_limit.release(in_flight_limit.reserve(1000), 1000, 500)
    assert in_flight_limit.reserve(1000) == 500


@given(st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 10_000)), max_size=50))
def test_what_came_in_goes_out_whole(events: list[tuple[int, int]]) -> None:
    in_flight_limit = InFlightLimit(InFlightOptions())
    reserved = [in_flight_limit.reserve(size) for size, _ in events]
    for reserved_tokens, (size, tokens) in zip(reserved, events, strict=True):
        in_flight_limit.release(reserved_tokens, size, tokens)
    assert (in_flight_limit.in_flight_tokens, in_flight_limit.in_flight_bytes) == (0, 0)
