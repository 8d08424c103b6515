"""Stage threads: none dies unnoticed."""

import threading

import pytest

from worker.flow.channel import Channel, EndOfChannelError
from worker.flow.stage_threads import Heartbeat, Stage, StageDiedError, StageThreads


def _double(inbox: Channel[int], outbox: Channel[int]) -> None:
    for number in inbox:
        outbox.put(2 * number)


def test_items_flow_through_the_stages_and_the_end_follows_them() -> None:
    first, second, third = Channel[int](), Channel[int](), Channel[int]()
    stage_threads = StageThreads(
        [
            Stage("double", lambda: _double(first, second), (second,), threads=3),
            Stage("again", lambda: _double(second, third), (third,)),
        ]
    )
    stage_threads.start()
    for number in range(100):
        first.put(number)
    stage_threads.check()
    first.close()
    assert stage_threads.join(10)
    assert sorted(third) == [4 * number for number in range(100)]
    stage_threads.check(ending=True)


def test_what_a_stage_died_of_is_raised_by_the_check() -> None:
    outbox: Channel[int] = Channel()
    stage_threads = StageThreads([Stage("divide", lambda: outbox.put(1 // 0), (outbox,))])
    stage_threads.start()
    assert stage_threads.join(10)
    with pytest.raises(StageDiedError, match="the divide stage died: ZeroDivisionError"):
        stage_threads.check(ending=True)
    with pytest.raises(EndOfChannelError):  # what comes after it ends too, and does not wait for ever
        outbox.take(10)


def test_a_stage_that_ends_before_its_work_does_is_an_error() -> None:
    stage_threads = StageThreads([Stage("idle", lambda: None)])
    stage_threads.start()
    assert stage_threads.join(10)
    with pytest.raises(StageDiedError, match="the idle stage ended before its work did"):
        stage_threads.check()
    stage_threads.check(ending=True)


def test_a_join_says_when_a_thread_did_not_end() -> None:
    release = threading.Event()

    def body() -> None:
        release.wait(60)

    stage_threads = StageThreads([Stage("stuck", body)])
    stage_threads.start()
    assert not stage_threads.join(0.01)
    release.set()
    assert stage_threads.join(10)


def test_the_age_of_a_pulse_starts_again_at_a_beat() -> None:
    heartbeat = Heartbeat()
    first = heartbeat.age_s()
    assert heartbeat.age_s() >= first >= 0
    heartbeat.beat()
    assert heartbeat.age_s() >= 0


def test_a_pulse_does_not_age_while_what_it_allowed_for_may_last() -> None:
    heartbeat = Heartbeat()
    heartbeat.beat(60)
    assert heartbeat.age_s() == 0
    heartbeat.beat(-60)
    assert heartbeat.age_s() >= 60


def test_the_pulse_of_a_stage_that_has_ended_does_not_age() -> None:
    heartbeats = Heartbeat(), Heartbeat()

    def die() -> None:
        raise ValueError

    stage_threads = StageThreads(
        [Stage("idle", lambda: None, heartbeat=heartbeats[0]), Stage("dying", die, heartbeat=heartbeats[1])]
    )
    for heartbeat in heartbeats:
        heartbeat.beat(-60)
    stage_threads.start()
    assert stage_threads.join(10)
    assert [heartbeat.age_s() for heartbeat in heartbeats] == [0, 0]
