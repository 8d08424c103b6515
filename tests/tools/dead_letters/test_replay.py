"""`rerank-worker replay`: dead letters go back to where they came from, and a replay goes on where the last one was."""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING

import pytest
from kafka import KafkaConsumer, TopicPartition

from tests.integration.line import wait_until
from tests.tools.conftest import command, environment, rerank_worker
from tests.tools.dead_letters.making import value_of
from worker import dead_letters
from worker.exits import Exit
from worker.records import Partition, Record

if TYPE_CHECKING:
    from kafka.consumer.fetcher import ConsumerRecord

    from tests.integration.line import Line
    from tests.tools.conftest import Run
    from tests.tools.dead_letters.making import Pen
    from worker.dead_letters import DeadLetter

pytestmark = pytest.mark.broker


def run(line: Line, *words: str) -> Run:
    ran = rerank_worker(line, "replay", "--group-id", line.group, *words)
    assert ran.returncode == 0, ran.stderr
    return ran


def progress(line: Line) -> int:
    """Return where the next replay begins in the dead-letter topic, which has one partition here."""
    with KafkaConsumer(bootstrap_servers=line.broker, group_id=f"{line.group}-replay") as consumer:
        return consumer.committed(TopicPartition(line.dead_letters, 0)) or 0


def as_letter(found: ConsumerRecord) -> DeadLetter:
    place = Partition(found.topic, found.partition)
    return dead_letters.read(Record(place, found.offset, found.timestamp, found.key, found.value, tuple(found.headers)))


def summary(ran: Run) -> dict[str, int]:
    """Return what the table at the end says."""
    rows = [line.rsplit(maxsplit=1) for line in ran.stdout.splitlines()[1:] if line]
    return {what: int(count) for what, count in rows if count.isdigit()}


def test_an_event_goes_back_as_it_came_with_a_count_and_is_not_sent_twice(line: Line, pen: Pen) -> None:
    pen.write(1, headers=(("traceparent", b"00-1"), ("x", b"\xff")))
    ran = run(line)
    assert summary(ran) == {f"sent to {line.requests}": 1}
    (found,) = line.read(line.requests, 1)
    assert (found.key, found.value) == (b"key", value_of(1))
    assert found.headers[:2] == [("traceparent", b"00-1"), ("x", b"\xff")]
    headers = dict(found.headers)
    assert (headers["dlq.replays"], headers["dlq.attempts"], headers["dlq.first-offset"]) == (b"1", b"1", b"1")
    assert "dlq.reason" not in headers
    assert run(line).stdout.startswith(f"nothing to replay: {line.dead_letters} has nothing there that group ")
    run(line, "--from-beginning", "--to", line.results)
    assert line.read(line.results, 1)[0].value == value_of(1)
    assert line.count(line.requests) == 1


def test_a_dry_run_shows_what_would_become_of_each_and_sends_nothing(line: Line, pen: Pen) -> None:
    pen.write(1, 2)
    pen.write(3, keep="key_and_headers")
    pen.write(4, reason="model")
    ran = run(line, "--dry-run", "--reason", "schema")
    lines = [" ".join(each.split()) for each in ran.stdout.splitlines()]
    assert f"schema to {line.requests} 2" in lines
    assert "schema skipped: the value was too large to be kept 1" in lines
    assert lines[-1] == "dry run: 3 dead letters were chosen, nothing was sent"
    assert (line.count(line.requests), progress(line)) == (0, 0)


def test_what_cannot_be_sent_back_is_skipped_and_counted_with_why(line: Line, pen: Pen) -> None:
    pen.write(1, keep="nothing")
    pen.write(2, value=None, reason="tombstone")
    pen.write(3, headers=(("dlq.replays", b"2"),))
    pen.write(4, reason="model")
    pen.write(5, value=b"x" * 3000)
    pen.write_raw(b"{}", [])
    pen.write(6)
    ran = run(line, "--reason", "schema,tombstone", "--max-replays", "2", "--max-record-bytes", "2000")
    assert summary(ran) == {
        f"sent to {line.requests}": 1,
        "not chosen": 1,
        "skipped: larger than its topic or --max-record-bytes allows": 1,
        "skipped: not a dead letter": 1,
        "skipped: replayed as often as --max-replays allows": 1,
        "skipped: the value was too large to be kept": 1,
        "skipped: there never was a value": 1,
    }
    assert progress(line) == 7


def test_what_comes_after_the_last_that_was_chosen_is_left_for_the_next_replay(line: Line, pen: Pen) -> None:
    pen.write(1)
    pen.write(2, 3, reason="model")
    run(line, "--reason", "schema")
    assert progress(line) == 1
    run(line, "--offsets", "0-1")
    assert progress(line) == 2
    assert [found.value for found in line.read(line.requests, 2)] == [value_of(1), value_of(2)]


def test_a_replay_from_the_beginning_never_moves_the_progress_back(line: Line, pen: Pen) -> None:
    pen.write(*range(20))
    run(line)
    assert (line.count(line.requests), progress(line)) == (20, 20)
    run(line, "--from-beginning", "--offsets", "2-2")
    assert (line.count(line.requests), progress(line)) == (21, 20)
    run(line, "--from-beginning", "--offsets", "-4", "--to", line.results)
    assert run(line).stdout.startswith("nothing to replay: ")
    pen.write(20, 21)
    run(line, "--from-beginning", "--offsets", "19-20")
    assert (line.count(line.requests), progress(line)) == (23, 21)
    assert summary(run(line)) == {f"sent to {line.requests}": 1}


def test_a_replay_that_was_killed_goes_on_where_everything_was_acknowledged(line: Line, pen: Pen) -> None:
    count = 120
    pen.write(*range(count))
    words = command("replay", "--group-id", line.group, "--rate", "40")
    with subprocess.Popen(words, env=environment(line), stdout=subprocess.PIPE) as killed:
        wait_until("something is committed", lambda: progress(line) > 1)
        killed.kill()
    done = progress(line)
    sent_before = line.count(line.requests)
    assert 1 < done <= sent_before < count
    assert summary(run(line)) == {f"sent to {line.requests}": count - done}
    values = [found.value for found in line.read(line.requests, sent_before + count - done)]
    assert set(values) == {value_of(number) for number in range(count)}
    assert [values.count(value_of(number)) for number in range(done)] == [1] * done


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_and_nothing_is_sent_twice(line: Line, pen: Pen, number: signal.Signals) -> None:
    pen.write(*range(400))
    words = command("replay", "--group-id", line.group, "--rate", "20")
    with subprocess.Popen(words, env=environment(line), stdout=subprocess.PIPE, text=True) as asked:
        wait_until("something is sent", lambda: line.count(line.requests) > 2)
        asked.send_signal(number)
        said, _ = asked.communicate(timeout=60)
        assert asked.returncode == 0
    assert said.endswith("interrupted; run it again to go on\n")
    sent = line.count(line.requests)
    assert 2 < sent < 400
    assert progress(line) == sent
    run(line)
    assert len(line.read(line.requests, 400)) == 400


def test_a_topic_that_is_gone_is_one_clear_line_and_does_not_count_as_sent(line: Line, pen: Pen) -> None:
    pen.write(1, topic="gone-for-good")
    ran = rerank_worker(line, "replay", "--group-id", line.group)
    assert ran.returncode == Exit.TOPIC
    assert "missing topics: gone-for-good" in ran.stderr
    assert ran.stderr.endswith("; --to sends the events to another topic\n")
    assert progress(line) == 0
    run(line, "--to", line.requests)
    assert line.count(line.requests) == 1


def test_it_never_sends_to_the_dead_letter_topic(line: Line) -> None:
    ran = rerank_worker(line, "replay", "--to", line.dead_letters)
    assert (ran.returncode, ran.stderr.count("\n")) == (Exit.USAGE, 1)


def test_a_replayed_event_that_fails_again_says_how_often_and_where_it_failed_first(line: Line) -> None:
    line.start()
    ((partition, offset),) = line.publish([b"[]"], headers=[("x", b"1")])
    first = as_letter(line.read(line.dead_letters, 1)[0])
    run(line)
    second = as_letter(line.read(line.dead_letters, 2)[1])
    assert (second.first.partition, second.first.offset) == (Partition(line.requests, partition), offset)
    assert (second.attempts, second.replays, second.first_failure) == (2, 1, first.first_failure)
    assert (second.partition, second.offset) == (Partition(line.requests, partition), offset + 1)
    assert (second.key, second.value, second.headers) == (b"k0", b"[]", [("x", b"1")])
    assert second.timestamp_ms > first.timestamp_ms
    assert second.first.timestamp_ms == first.timestamp_ms
