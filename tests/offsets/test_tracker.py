"""Which offsets may be committed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from worker.flow.job import Partition
from worker.offsets.tracker import Ledger, Standing, Ticket

P0, P1 = Partition("requests", 0), Partition("requests", 1)


def _opened(ledger: Ledger, partition: Partition, *offsets: int) -> list[Ticket]:
    tickets = [ledger.open(partition, offset) for offset in offsets]
    assert None not in tickets
    return [ticket for ticket in tickets if ticket]


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=50, unique=True).map(sorted), st.randoms())
def test_the_prefix_is_what_is_done_without_a_gap_in_any_order_of_completion(
    offsets: list[int], random: object
) -> None:
    ledger = Ledger()
    ledger.assign([P0])
    tickets = _opened(ledger, P0, *offsets)
    shuffled = list(tickets)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    done: set[int] = set()
    for ticket in shuffled:
        ledger.settle(ticket, done=True)
        done.add(ticket.offset)
        prefix = [offset for number, offset in enumerate(offsets) if done.issuperset(offsets[: number + 1])]
        assert ledger.committable() == ({P0: prefix[-1] + 1} if prefix else {})
    assert ledger.open_count([P0]) == 0


def test_a_ticket_that_stands_for_several_offsets_leads_past_all_of_them() -> None:
    ledger = Ledger()
    ledger.assign([P0])
    first, several = ledger.open(P0, 5), ledger.open(P0, 6, 9)
    assert first
    assert several
    ledger.settle(several, done=True)
    assert ledger.committable() == {}
    ledger.settle(first, done=True)
    assert ledger.committable() == {P0: 9}


def test_it_says_what_is_first_of_what_is_not_done_and_when_that_and_the_last_one_were_made() -> None:
    ledger = Ledger()
    ledger.assign([P0])
    assert ledger.standing(P0) == Standing(None, None, None)
    first, second = ledger.open(P0, 5, created_s=1.0), ledger.open(P0, 8, created_s=2.0)
    assert first
    assert second
    assert ledger.standing(P0) == Standing(5, 1.0, 2.0)
    ledger.settle(second, done=True)
    assert ledger.standing(P0) == Standing(5, 1.0, 2.0)
    ledger.settle(first, done=True)
    assert ledger.standing(P0) == Standing(None, None, 2.0)


def test_reading_that_has_come_further_is_committed_where_all_that_was_received_is_done() -> None:
    ledger = Ledger()
    ledger.assign([P0, P1])
    ledger.advance({P0: 9, P1: 9, Partition("elsewhere", 0): 9})
    assert ledger.committable() == {}  # nothing was done yet
    for ticket in _opened(ledger, P0, 5, 6):
        ledger.settle(ticket, done=True)
    ledger.advance({P0: 9})
    assert ledger.committable() == {P0: 9}
    ledger.advance({P0: 8})
    assert ledger.committable() == {P0: 9}
    (waiting,) = _opened(ledger, P0, 9)
    ledger.advance({P0: 12})
    assert ledger.committable() == {P0: 9}
    ledger.settle(waiting, done=False)
    ledger.advance({P0: 12})
    assert ledger.committable() == {P0: 9}  # it is read again


def test_reading_that_has_come_further_is_not_committed_beside_transactions() -> None:
    ledger = Ledger()
    ledger.assign([P0])
    for ticket in _opened(ledger, P0, 5):
        ledger.settle(ticket, done=True, committed=True)
    ledger.advance({P0: 9})
    assert ledger.committable() == {}


def test_reading_that_has_come_further_in_a_partition_that_is_being_given_up_is_not_committed() -> None:
    ledger = Ledger()
    ledger.assign([P0])
    for ticket in _opened(ledger, P0, 5):
        ledger.settle(ticket, done=True)
    ledger.retire([P0])
    ledger.advance({P0: 9})
    assert ledger.committable() == {P0: 6}


def test_what_is_committed_is_not_offered_again() -> None:
    ledger = Ledger()
    ledger.assign([P0])
    first, second = _opened(ledger, P0, 5, 6)
    ledger.settle(first, done=True)
    ledger.committed(ledger.committable())
    assert ledger.committable() == {}
    ledger.settle(second, done=True)
    assert ledger.committable([P0]) == {P0: 7}


def test_what_was_committed_with_its_outcome_is_not_offered_at_all() -> None:
    ledger = Ledger()
    ledger.assign([P0])
    for ticket in _opened(ledger, P0, 5, 6):
        ledger.settle(ticket, done=True, committed=True)
    assert ledger.committable() == {}


def test_a_restart_begins_new_epochs_for_what_is_not_done_and_says_where_that_began() -> None:
    ledger = Ledger()
    ledger.assign([P0, P1])
    first, second, _ = _opened(ledger, P0, 5, 6, 8)
    (other,) = _opened(ledger, P1, 1)
    ledger.settle(first, done=True, committed=True)
    ledger.settle(second, done=False)
    ledger.settle(other, done=True, committed=True)
    assert ledger.restart([P0, P1, Partition("requests", 2)]) == {P0: 6}
    assert not second.live
    assert not second.wanted
    assert other.live
    assert ledger.open_count([P0]) == 0
    (again,) = _opened(ledger, P0, 6)
    assert again.epoch > second.epoch


def test_a_commit_that_is_answered_after_the_partition_left_is_forgotten() -> None:
    ledger = Ledger()
    ledger.committed({P0: 5})
    assert ledger.committable([P0]) == {}


def test_an_answer_to_a_commit_of_an_earlier_epoch_is_forgotten() -> None:
    ledger = Ledger()
    ledger.assign([P0])
    before = ledger.epochs([P0])
    ledger.assign([P0])
    (ticket,) = _opened(ledger, P0, 4)
    ledger.settle(ticket, done=True)
    ledger.committed({P0: 5}, before)
    assert ledger.committable() == {P0: 5}
    ledger.committed({P0: 5}, ledger.epochs([P0, Partition("requests", 9)]))
    assert ledger.committable() == {}


def test_a_dropped_offset_stays_in_the_way() -> None:
    ledger = Ledger()
    ledger.assign([P0])
    first, second = _opened(ledger, P0, 5, 6)
    ledger.settle(first, done=False)
    ledger.settle(second, done=True)
    assert ledger.committable() == {}
    assert ledger.open_count([P0, P1]) == 0


def test_a_ticket_ends_once() -> None:
    ledger = Ledger()
    ledger.assign([P0])
    (ticket,) = _opened(ledger, P0, 5)
    ledger.settle(ticket, done=True)
    with pytest.raises(ValueError, match="offset 5 ended twice"):
        ledger.settle(ticket, done=True)


def test_a_retired_partition_starts_nothing_new_and_still_counts_what_is_done() -> None:
    ledger = Ledger()
    ledger.assign([P0])
    first, second = _opened(ledger, P0, 5, 6)
    ledger.retire([P0, P1])
    assert ledger.open(P0, 7) is None
    assert (first.live, first.wanted) == (True, False)
    ledger.settle(first, done=True)
    ledger.settle(second, done=False)
    assert ledger.committable([P0]) == {P0: 6}


def test_a_later_epoch_is_not_moved_by_an_earlier_ones_tickets() -> None:
    ledger = Ledger()
    ledger.assign([P0])
    (stale,) = _opened(ledger, P0, 5)
    ledger.forget([P0])
    assert ledger.open(P0, 6) is None
    assert ledger.partitions == frozenset()
    ledger.assign([P0])
    (fresh,) = _opened(ledger, P0, 5)
    assert fresh.epoch > stale.epoch
    assert (stale.live, fresh.live) == (False, True)
    ledger.settle(stale, done=True)
    assert ledger.committable() == {}
    assert ledger.open_count([P0]) == 1


class AnyRebalance(RuleBasedStateMachine):
    """Whatever is assigned, received, completed, revoked and lost, nothing is committed that was not done."""

    tickets: Bundle[Ticket] = Bundle("tickets")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger()
        self.next_offset = {P0: 0, P1: 0}
        self.done: dict[Partition, set[int]] = {P0: set(), P1: set()}  # of all epochs
        self.started: dict[Partition, int] = {}  # where the current epoch began

    @rule(partition=st.sampled_from([P0, P1]), back=st.integers(0, 3))
    def assign(self, partition: Partition, back: int) -> None:
        self.next_offset[partition] = max(0, self.next_offset[partition] - back)
        self.started[partition] = self.next_offset[partition]
        self.ledger.assign([partition])

    @rule(partition=st.sampled_from([P0, P1]))
    def retire(self, partition: Partition) -> None:
        self.ledger.retire([partition])

    @rule(partition=st.sampled_from([P0, P1]))
    def forget(self, partition: Partition) -> None:
        self.ledger.forget([partition])
        self.started.pop(partition, None)

    @rule(target=tickets, partition=st.sampled_from([P0, P1]), gap=st.integers(0, 2))
    def receive(self, partition: Partition, gap: int) -> Ticket:
        offset = self.next_offset[partition] + gap
        if ticket := self.ledger.open(partition, offset):
            for skipped in range(self.next_offset[partition], offset):
                self.done[partition].add(skipped)  # compacted away: nobody will ever read it
            self.next_offset[partition] = offset + 1
            return ticket
        spare = Ledger()
        spare.assign([partition])
        ticket = spare.open(partition, offset)
        assert ticket is not None
        return ticket

    @rule(ticket=consumes(tickets), done=st.booleans())
    def settle(self, ticket: Ticket, done: bool) -> None:
        if done and ticket.live:
            self.done[ticket.partition].add(ticket.offset)
        self.ledger.settle(ticket, done=done)

    @rule()
    def commit(self) -> None:
        self.ledger.committed(self.ledger.committable())

    @invariant()
    def nothing_undone_is_committable(self) -> None:
        for partition, offset in self.ledger.committable().items():
            begun = self.started[partition]
            assert self.done[partition].issuperset(range(begun, offset))


TestAnyRebalance = AnyRebalance.TestCase
