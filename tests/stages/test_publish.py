"""What the publisher says of a result, and does with one that its topic refuses."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import numpy as np
import pytest

from tests import making
from tests.stages.line import Beats, Broker, Model, publish
from worker.channel import Channel
from worker.dead_letters import REASONS, read
from worker.delivery import AtLeastOnce, Ending
from worker.exits import Exit, StopError
from worker.jobs import Job, Record
from worker.kafka_io import KafkaOptions
from worker.ledger import Ledger
from worker.metrics import Metrics
from worker.stages import Publish


def test_the_publisher_goes_round_though_nothing_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Publish, "IDLE_S", 0.001)
    inbox: Channel[Job] = Channel()
    endings: Channel[Ending] = Channel()
    producer: Any = Broker({})
    model: Any = Model()
    pulse = Beats(enough=3)
    publish = Publish(AtLeastOnce(lambda: producer, endings), KafkaOptions(), model, Metrics(REASONS), pulse)
    thread = threading.Thread(target=publish.run, args=(inbox,))
    thread.start()
    assert pulse.went_round.wait(60)
    inbox.close()
    thread.join(60)
    assert not thread.is_alive()


def test_a_deadline_is_met_only_where_the_acknowledgement_is_expected_before_it() -> None:
    now_s = time.monotonic()
    jobs = [making.job(1, deadline_s=now_s + left_s, offset=at) for at, left_s in enumerate((-1, 100, 1000))]
    broker = Broker({"rerank-results": 10_000})
    publish(broker, *jobs, acknowledged_in_s=500)
    assert [json.loads(value or b"")["deadline_met"] for _, _, value, _ in broker.sent] == [False, False, True]


def test_a_result_that_its_topic_refuses_becomes_a_dead_letter() -> None:
    broker = Broker({"rerank-results": 10, "rerank-dead-letters": 10_000})
    job = making.job(1)
    assert [(ending.job, ending.error) for ending in publish(broker, job)] == [(job, None)]
    ((topic, key, value, headers),) = broker.sent
    assert topic == "rerank-dead-letters"
    letter = read(Record(making.PARTITION, 0, 0, key, value, tuple(headers)))
    assert (letter.reason, letter.value) == ("result_too_large", job.record.value)


def test_a_dead_letter_that_its_topic_refuses_goes_without_the_value() -> None:
    broker = Broker({"rerank-results": 0, "rerank-dead-letters": 1})
    assert len(publish(broker, making.job(1))) == 1
    ((_, _, value, headers),) = broker.sent
    assert value is None
    assert dict(headers)["dlq.value-dropped"].startswith(b"bytes=2 ")


def test_what_has_no_key_gets_the_one_that_the_option_names_and_others_keep_theirs() -> None:
    named, keyless, bad = making.job(1, key=b"own"), making.job(1, offset=1), making.job(1, offset=2)
    bad.request = None
    for options, keys in (
        (KafkaOptions(), [b"own", None, None]),
        (KafkaOptions(key_for_keyless="request_id"), [b"own", b"r", b"requests/0/2"]),
    ):
        broker = Broker({"rerank-results": 10_000, "rerank-dead-letters": 10_000})
        publish(broker, named, keyless, bad, options=options)
        assert [key for _, key, *_ in broker.sent] == keys


def test_once_a_topic_has_refused_one_without_a_key_there_are_dead_letters_in_its_place_with_a_key_if_need_be() -> None:
    results, letters = "rerank-results", "rerank-dead-letters"
    for refusing, keys in (([results], [b"own", None, None]), ([results, letters], [b"own", b"r", b"requests/0/2"])):
        named, keyless, bad = making.job(1, key=b"own"), making.job(1, offset=1), making.job(1, offset=2)
        bad.request = None
        broker = Broker({results: 10_000, letters: 10_000})
        publish(broker, named, keyless, bad, keyed=refusing)
        assert [(topic, key) for topic, key, *_ in broker.sent] == list(
            zip([results, letters, letters], keys, strict=True)
        )
        assert keyless.fault is not None
        assert keyless.fault.reason == "no_key"
        assert "--key-for-keyless" in keyless.fault.message


def test_what_fits_nowhere_stops_the_worker_and_names_the_record() -> None:
    with pytest.raises(StopError, match="requests partition 0 offset 7") as caught:
        publish(Broker({"rerank-results": -1, "rerank-dead-letters": -1}), making.job(1, offset=7))
    assert caught.value.code is Exit.DELIVERY


def test_a_defect_while_a_result_is_written_costs_that_event_and_no_other() -> None:
    broken, fine = making.job(1), making.job(1, offset=1)
    broken.request = None
    broker = Broker({"rerank-results": 10_000, "rerank-dead-letters": 10_000})
    assert len(publish(broker, broken, fine)) == 2
    assert [topic for topic, *_ in broker.sent] == ["rerank-dead-letters", "rerank-results"]
    assert broken.fault is not None
    assert broken.fault.reason == "defect"


def test_a_panic_while_a_result_is_written_costs_that_event_and_an_interrupt_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def encode(*_: Any, **__: Any) -> bytes:
        raise failures.pop()

    class PanicException(BaseException):
        pass

    failures: list[BaseException] = [PanicException("index out of bounds")]
    monkeypatch.setattr("worker.stages.publish.encode_result", encode)
    broker = Broker({"rerank-dead-letters": 10_000})
    job = making.job(1)
    assert len(publish(broker, job)) == 1
    assert job.fault is not None
    assert (job.fault.reason, job.fault.error) == ("defect", "PanicException")
    failures.append(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        publish(broker, making.job(1))


def test_nothing_is_published_of_a_partition_that_is_gone() -> None:
    ledger = Ledger()
    ledger.assign([making.PARTITION])
    job = making.job(1, ledger=ledger)
    ledger.forget([making.PARTITION])
    broker = Broker({})
    assert [ending.job for ending in publish(broker, job)] == [job]
    assert job.dropped
    assert broker.sent == []


def test_drift_is_watched_in_lists_that_were_scored_as_a_whole_alone() -> None:
    metrics, whole, part = Metrics(REASONS), making.job(1, 1, 1), making.job(1, 1, offset=1)
    whole.logits = np.array([0.0, 5.0, -3.0], np.float32)
    part.logits = np.array([7.0, np.nan], np.float32)
    part.shed_to(1, "no_time")
    publish(Broker({"rerank-results": 10_000}), whole, part, metrics=metrics)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(f"rerank_{name}", labels)

    # Below the logit's own bucket nothing, up to it this one list: a histogram with negative bounds has no sum.
    for place, below, bound in (("first", "4.0", "5.0"), ("middle", "-0.5", "0.0"), ("last", "-4.0", "-3.0")):
        assert value("logits_bucket", candidate=place, le=below) == 0
        assert value("logits_bucket", candidate=place, le=bound) == 1
        assert value("logits_count", candidate=place) == 1
    assert value("rank_displacement_count") == 1
