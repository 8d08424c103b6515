"""Results of one key leave in the order of their requests."""

from hypothesis import given
from hypothesis import strategies as st

from tests.support import making
from worker.admission.key_order import PrecedenceLinks, Resequencer, by_key, by_nothing, by_partition
from worker.flow.job import Job
from worker.offsets.tracker import OffsetTracker


def _linked(
    *keys: bytes | None, links: PrecedenceLinks | None = None, tracker: OffsetTracker | None = None
) -> list[Job]:
    links = links or PrecedenceLinks(by_key)
    jobs = [making.job(1, key=key, offset=offset, tracker=tracker) for offset, key in enumerate(keys)]
    for job in jobs:
        links.on_admitted(job)
    return jobs


def test_a_later_event_of_a_key_waits_for_the_earlier_ones() -> None:
    first, second, third = _linked(b"k", b"k", b"k")
    order = Resequencer()
    assert list(order.ready(third)) == []
    assert list(order.ready(second)) == []
    assert len(order) == 2
    assert list(order.ready(first)) == [first, second, third]
    assert len(order) == 0


def _in_one_epoch(*keys: bytes | None, links: PrecedenceLinks | None = None) -> list[Job]:
    tracker = OffsetTracker()
    tracker.assign([making.PARTITION])
    return _linked(*keys, links=links, tracker=tracker)


def test_what_follows_a_dropped_event_of_its_key_is_dropped_too() -> None:
    first, second, third = _in_one_epoch(b"k", b"k", b"k")
    order = Resequencer()
    assert list(order.ready(second)) == []
    first.dropped = True
    assert list(order.ready(first)) == [first, second]
    assert list(order.ready(third)) == [third]
    assert [job.dropped for job in (first, second, third)] == [True, True, True]


def test_in_a_partitions_line_every_event_waits_for_the_one_before_it_whatever_its_key() -> None:
    first, second, third = _in_one_epoch(b"k", None, b"other", links=PrecedenceLinks(by_partition))
    order = Resequencer()
    assert list(order.ready(third)) == list(order.ready(second)) == []
    assert list(order.ready(first)) == [first, second, third]


def test_what_waits_for_an_event_that_is_dropped_while_it_leaves_is_dropped_too() -> None:
    first, second, third = _in_one_epoch(b"k", None, b"other", links=PrecedenceLinks(by_partition))
    order = Resequencer()
    assert list(order.ready(third)) == list(order.ready(second)) == []
    for leaving in order.ready(first):
        leaving.dropped = leaving.dropped or leaving is second  # its transaction failed just now
    assert [job.dropped for job in (first, second, third)] == [False, True, True]


def test_without_a_line_no_event_waits() -> None:
    first, second = _in_one_epoch(b"k", b"k", links=PrecedenceLinks(by_nothing))
    assert first.after is second.after is None


def test_an_event_that_is_read_again_does_not_suffer_for_its_own_dropped_copy() -> None:
    (stale,) = _in_one_epoch(b"k")
    again = making.job(1, key=b"k")
    again.after = stale
    again.tracked._assignment.epoch = stale.tracked.epoch + 1
    stale.dropped = True
    order = Resequencer()
    assert list(order.ready(stale)) == [stale]
    assert list(order.ready(again)) == [again]
    assert not again.dropped


def test_other_keys_and_events_without_a_key_do_not_wait() -> None:
    _, other, none = _linked(b"k", b"other", None)
    order = Resequencer()
    assert list(order.ready(none)) == [none]
    assert list(order.ready(other)) == [other]


def test_an_event_that_has_ended_is_nobodys_predecessor() -> None:
    links = PrecedenceLinks(by_key)
    first, second, none = (making.job(1, key=key) for key in (b"k", b"k", None))
    links.on_admitted(first)
    links.on_finished(first)
    links.on_finished(none)
    links.on_admitted(second)
    assert second.after is None
    links.on_finished(first)  # an earlier event's end does not forget a later one
    third = making.job(1, key=b"k")
    links.on_admitted(third)
    assert third.after is second


def test_an_event_that_left_does_not_keep_its_predecessors_alive() -> None:
    jobs = _linked(b"k", b"k")
    order = Resequencer()
    for job in jobs:
        assert list(order.ready(job)) == [job]
    assert [job.after for job in jobs] == [None, None]


@given(st.lists(st.sampled_from([b"a", b"b", None]), max_size=30), st.randoms(use_true_random=False))
def test_whatever_is_ready_first_each_key_keeps_its_order_and_all_leave(
    keys: list[bytes | None], random: object
) -> None:
    jobs = _linked(*keys)
    shuffled = list(jobs)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    order = Resequencer()
    left = [leaving for job in shuffled for leaving in order.ready(job)]
    assert sorted(job.record.offset for job in left) == list(range(len(jobs)))
    for key in (b"a", b"b"):
        offsets = [job.record.offset for job in left if job.record.key == key]
        assert offsets == sorted(offsets)
