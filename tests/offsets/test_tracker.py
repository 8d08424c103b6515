"""Which offsets may be committed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from worker.offsets.tracker import OffsetTracker, PartitionProgress, TrackedOffset
from worker.records import Partition

P0, P1 = Partition("requests", 0), Partition("requests", 1)


def _opened(tracker: OffsetTracker, partition: Partition, *offsets: int) -> list[TrackedOffset]:
    tracked_offsets = [tracker.track(partition, offset) for offset in offsets]
    assert None not in tracked_offsets
    return [tracked for tracked in tracked_offsets if tracked]


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=50, unique=True).map(sorted), st.randoms())
def test_the_prefix_is_what_is_done_without_a_gap_in_any_order_of_completion(
    offsets: list[int], random: object
) -> None:
    tracker = OffsetTracker()
    tracker.assign([P0])
    tracked_offsets = _opened(tracker, P0, *offsets)
    shuffled = list(tracked_offsets)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    done: set[int] = set()
    for tracked in shuffled:
        tracker.finish(tracked, done=True)
        done.add(tracked.offset)
        prefix = [offset for number, offset in enumerate(offsets) if done.issuperset(offsets[: number + 1])]
        assert tracker.committable() == ({P0: prefix[-1] + 1} if prefix else {})
    assert tracker.open_count([P0]) == 0


def test_a_ticket_that_stands_for_several_offsets_leads_past_all_of_them() -> None:
    tracker = OffsetTracker()
    tracker.assign([P0])
    first, several = tracker.track(P0, 5), tracker.track(P0, 6, 9)
    assert first
    assert several
    tracker.finish(several, done=True)
    assert tracker.committable() == {}
    tracker.finish(first, done=True)
    assert tracker.committable() == {P0: 9}


def test_it_says_what_is_first_of_what_is_not_done_and_when_that_and_the_last_one_were_made() -> None:
    tracker = OffsetTracker()
    tracker.assign([P0])
    assert tracker.progress(P0) == PartitionProgress(None, None, None)
    first, second = tracker.track(P0, 5, created_s=1.0), tracker.track(P0, 8, created_s=2.0)
    assert first
    assert second
    assert tracker.progress(P0) == PartitionProgress(5, 1.0, 2.0)
    tracker.finish(second, done=True)
    assert tracker.progress(P0) == PartitionProgress(5, 1.0, 2.0)
    tracker.finish(first, done=True)
    assert tracker.progress(P0) == PartitionProgress(None, None, 2.0)


def test_reading_that_has_come_further_is_committed_where_all_that_was_received_is_done() -> None:
    tracker = OffsetTracker()
    tracker.assign([P0, P1])
    tracker.advance({P0: 9, P1: 9, Partition("elsewhere", 0): 9})
    assert tracker.committable() == {}  # nothing was done yet
    for tracked in _opened(tracker, P0, 5, 6):
        tracker.finish(tracked, done=True)
    tracker.advance({P0: 9})
    assert tracker.committable() == {P0: 9}
    tracker.advance({P0: 8})
    assert tracker.committable() == {P0: 9}
    (waiting,) = _opened(tracker, P0, 9)
    tracker.advance({P0: 12})
    assert tracker.committable() == {P0: 9}
    tracker.finish(waiting, done=False)
    tracker.advance({P0: 12})
    assert tracker.committable() == {P0: 9}  # it is read again


def test_reading_that_has_come_further_is_not_committed_beside_transactions() -> None:
    tracker = OffsetTracker()
    tracker.assign([P0])
    for tracked in _opened(tracker, P0, 5):
        tracker.finish(tracked, done=True, committed=True)
    tracker.advance({P0: 9})
    assert tracker.committable() == {}


def test_reading_that_has_come_further_in_a_partition_that_is_being_given_up_is_not_committed() -> None:
    tracker = OffsetTracker()
    tracker.assign([P0])
    for tracked in _opened(tracker, P0, 5):
        tracker.finish(tracked, done=True)
    tracker.start_revoking([P0])
    tracker.advance({P0: 9})
    assert tracker.committable() == {P0: 6}


def test_what_is_committed_is_not_offered_again() -> None:
    tracker = OffsetTracker()
    tracker.assign([P0])
    first, second = _opened(tracker, P0, 5, 6)
    tracker.finish(first, done=True)
    tracker.committed(tracker.committable())
    assert tracker.committable() == {}
    tracker.finish(second, done=True)
    assert tracker.committable([P0]) == {P0: 7}


def test_what_was_committed_with_its_outcome_is_not_offered_at_all() -> None:
    tracker = OffsetTracker()
    tracker.assign([P0])
    for tracked in _opened(tracker, P0, 5, 6):
        tracker.finish(tracked, done=True, committed=True)
    assert tracker.committable() == {}


def test_a_restart_begins_new_epochs_for_what_is_not_done_and_says_where_that_began() -> None:
    tracker = OffsetTracker()
    tracker.assign([P0, P1])
    first, second, _ = _opened(tracker, P0, 5, 6, 8)
    (other,) = _opened(tracker, P1, 1)
    tracker.finish(first, done=True, committed=True)
    tracker.finish(second, done=False)
    tracker.finish(other, done=True, committed=True)
    assert tracker.reset([P0, P1, Partition("requests", 2)]) == {P0: 6}
    assert not second.live
    assert not second.wanted
    assert other.live
    assert tracker.open_count([P0]) == 0
    (again,) = _opened(tracker, P0, 6)
    assert again.epoch > second.epoch


def test_a_commit_that_is_answered_after_the_partition_left_is_forgotten() -> None:
    tracker = OffsetTracker()
    tracker.committed({P0: 5})
    assert tracker.committable([P0]) == {}


def test_an_answer_to_a_commit_of_an_earlier_epoch_is_forgotten() -> None:
    tracker = OffsetTracker()
    tracker.assign([P0])
    before = tracker.epochs([P0])
    tracker.assign([P0])
    (tracked,) = _opened(tracker, P0, 4)
    tracker.finish(tracked, done=True)
    tracker.committed({P0: 5}, before)
    assert tracker.committable() == {P0: 5}
    tracker.committed({P0: 5}, tracker.epochs([P0, Partition("requests", 9)]))
    assert tracker.committable() == {}


def test_a_dropped_offset_stays_in_the_way() -> None:
    tracker = OffsetTracker()
    tracker.assign([P0])
    first, second = _opened(tracker, P0, 5, 6)
    tracker.finish(first, done=False)
    tracker.finish(second, done=True)
    assert tracker.committable() == {}
    assert tracker.open_count([P0, P1]) == 0


def test_a_ticket_ends_once() -> None:
    tracker = OffsetTracker()
    tracker.assign([P0])
    (tracked,) = _opened(tracker, P0, 5)
    tracker.finish(tracked, done=True)
    with pytest.raises(ValueError, match="offset 5 ended twice"):
        tracker.finish(tracked, done=True)


def test_a_retired_partition_starts_nothing_new_and_still_counts_what_is_done() -> None:
    tracker = OffsetTracker()
    tracker.assign([P0])
    first, second = _opened(tracker, P0, 5, 6)
    tracker.start_revoking([P0, P1])
    assert tracker.track(P0, 7) is None
    assert (first.live, first.wanted) == (True, False)
    tracker.finish(first, done=True)
    tracker.finish(second, done=False)
    assert tracker.committable([P0]) == {P0: 6}


def test_a_later_epoch_is_not_moved_by_an_earlier_ones_tickets() -> None:
    tracker = OffsetTracker()
    tracker.assign([P0])
    (stale,) = _opened(tracker, P0, 5)
    tracker.revoke([P0])
    assert tracker.track(P0, 6) is None
    assert tracker.partitions == frozenset()
    tracker.assign([P0])
    (fresh,) = _opened(tracker, P0, 5)
    assert fresh.epoch > stale.epoch
    assert (stale.live, fresh.live) == (False, True)
    tracker.finish(stale, done=True)
    assert tracker.committable() == {}
    assert tracker.open_count([P0]) == 1


class AnyRebalance(RuleBasedStateMachine):
    """Whatever is assigned, received, completed, revoked and lost, nothing is committed that was not done."""

    tracked_offsets: Bundle[TrackedOffset] = Bundle("tracked_offsets")

    def __init__(self) -> None:
        super().__init__()
        self.tracker = OffsetTracker()
        self.next_offset = {P0: 0, P1: 0}
        self.done: dict[Partition, set[int]] = {P0: set(), P1: set()}  # of all epochs
        self.started: dict[Partition, int] = {}  # where the current epoch began

    @rule(partition=st.sampled_from([P0, P1]), back=st.integers(0, 3))
    def assign(self, partition: Partition, back: int) -> None:
        self.next_offset[partition] = max(0, self.next_offset[partition] - back)
        self.started[partition] = self.next_offset[partition]
        self.tracker.assign([partition])

    @rule(partition=st.sampled_from([P0, P1]))
    def start_revoking(self, partition: Partition) -> None:
        self.tracker.start_revoking([partition])

    @rule(partition=st.sampled_from([P0, P1]))
    def forget(self, partition: Partition) -> None:
        self.tracker.revoke([partition])
        self.started.pop(partition, None)

    @rule(target=tracked_offsets, partition=st.sampled_from([P0, P1]), gap=st.integers(0, 2))
    def receive(self, partition: Partition, gap: int) -> TrackedOffset:
        offset = self.next_offset[partition] + gap
        if tracked := self.tracker.track(partition, offset):
            for skipped in range(self.next_offset[partition], offset):
                self.done[partition].add(skipped)  # compacted away: nobody will ever read it
            self.next_offset[partition] = offset + 1
            return tracked
        spare = OffsetTracker()
        spare.assign([partition])
        tracked = spare.track(partition, offset)
        assert tracked is not None
        return tracked

    @rule(tracked=consumes(tracked_offsets), done=st.booleans())
    def settle(self, tracked: TrackedOffset, done: bool) -> None:
        if done and tracked.live:
            self.done[tracked.partition].add(tracked.offset)
        self.tracker.finish(tracked, done=done)

    @rule()
    def commit(self) -> None:
        self.tracker.committed(self.tracker.committable())

    @invariant()
    def nothing_undone_is_committable(self) -> None:
        for partition, offset in self.tracker.committable().items():
            begun = self.started[partition]
            assert self.done[partition].issuperset(range(begun, offset))


TestAnyRebalance = AnyRebalance.TestCase
