"""What becomes of an event before it is scored."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support import making
from worker.dead_letters import REASONS, read
from worker.events.codec import Decoder
from worker.flow.job import Job
from worker.offsets.tracker import OffsetTracker
from worker.records import Record
from worker.scheduling.limits import BatchLimits

if TYPE_CHECKING:
    from worker.flow.job import Request
    from worker.scheduling.policy import OnOverload

from tests.stages.line import ENDS, SCORE_ALL, Broker, an_event, panic, publish, raw, tokenize


def test_what_stands_for_lost_records_becomes_a_dead_letter_that_says_which() -> None:
    job = raw(b"")
    job.record = making.corrupt(3, 7)
    scoring, publishing = tokenize(job)
    assert (scoring, publishing) == ([], [job])
    broker = Broker({"rerank-dead-letters": 10_000})
    publish(broker, job)
    ((_, key, value, headers),) = broker.sent
    assert (key, value) == (None, None)
    letter = read(Record(making.PARTITION, 0, 0, key, b"", tuple(headers)))
    assert (letter.reason, letter.offset, letter.last_offset, letter.value) == ("corrupt", 3, 6, None)
    assert letter.timestamp_ms == -1


def test_an_event_gets_its_deadline_from_its_own_budget_or_the_workers() -> None:
    own = json.dumps({**json.loads(an_event()), "budget_ms": 50}).encode()
    scoring, publishing = tokenize(raw(an_event()), raw(own, 1))
    assert publishing == []
    assert [job.deadline_s for job in scoring] == [100.5, 100.05]


def test_a_bad_event_and_one_that_cannot_be_tokenized_become_dead_letters() -> None:
    scoring, publishing = tokenize(raw(b"{"), raw(an_event("broken"), 1), raw(an_event(), 2))
    assert [job.record.offset for job in scoring] == [2]
    faults = [job.fault for job in publishing if job.fault]
    assert [(fault.reason, fault.stage) for fault in faults] == [("not_json", "decode"), ("tokenizer", "tokenize")]
    assert {fault.reason for fault in faults} <= set(REASONS)


def test_a_panic_in_the_tokenizer_or_the_validator_is_the_fault_of_its_event_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    decode = Decoder.decode

    def panicking(decoder: Decoder, record: Record) -> Request:
        if record.offset == 0:
            panic()
        return decode(decoder, record)

    monkeypatch.setattr(Decoder, "decode", panicking)
    scoring, publishing = tokenize(raw(an_event()), raw(an_event("panic"), 1), raw(an_event(), 2))
    assert [job.record.offset for job in scoring] == [2]
    faults = [job.fault for job in publishing if job.fault]
    assert [(fault.reason, fault.stage, fault.error) for fault in faults] == [
        ("defect", "decode", "PanicException"),
        ("tokenizer", "tokenize", "PanicException"),
    ]


@pytest.mark.parametrize("query", ENDS)
def test_what_ends_a_process_is_no_fault_of_an_event(query: str) -> None:
    with pytest.raises(ENDS[query]):
        tokenize(raw(an_event(query)))


def test_an_event_of_a_partition_that_is_given_up_is_put_aside_unread() -> None:
    tracker = OffsetTracker()
    tracker.assign([making.PARTITION])
    made = making.job(1, tracker=tracker)
    tracker.start_revoking([making.PARTITION])
    job = Job(making.record(), made.tracked, received_s=0.0, created_s=0.0)
    scoring, publishing = tokenize(job)
    assert (scoring, publishing) == ([], [job])
    assert job.dropped
    assert job.request is None


@pytest.mark.parametrize("policy", ["partial", "passthrough"])
def test_an_event_whose_time_was_over_before_it_was_tokenized_is_not_tokenized(policy: OnOverload) -> None:
    late = raw(an_event("broken"))  # which the tokenizer would fail on
    late.created_s = -1e6
    assert tokenize(late, limits=BatchLimits(on_overload=policy)) == ([], [late])
    assert (late.fault, late.scoring.shed) == (None, "no_time")
    broker = Broker({"rerank-results": 10_000})
    publish(broker, late)
    result = json.loads(broker.sent[0][2] or b"")
    assert (result["outcome"], result["reason"], result["deadline_met"]) == ("passthrough", "no_time", False)
    assert [row["score"] for row in result["ranking"]] == [None]


def test_what_is_scored_however_late_is_tokenized_however_late() -> None:
    late = raw(an_event())
    late.created_s = -1e6
    for limits in (SCORE_ALL, BatchLimits(schedule="fifo")):
        assert tokenize(late, limits=limits) == ([late], [])
