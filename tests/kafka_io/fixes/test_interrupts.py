"""Ctrl-C while the client connects."""

from contextlib import closing

import pytest
from kafka import KafkaProducer
from kafka.net.connection import KafkaConnection
from kafka.net.selector import NetworkSelector

from worker.kafka_io import KafkaOptions
from worker.kafka_io.connect import connect
from worker.kafka_io.fixes.interrupts import let_interrupts_through


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_interrupt_in_a_task_of_the_loop_ends_the_loop() -> None:
    let_interrupts_through()
    with closing(NetworkSelector()) as net:
        net.call_soon(_interrupt)
        with pytest.raises(KeyboardInterrupt):
            net.poll(timeout_ms=0)


@pytest.mark.broker
@pytest.mark.timeout(60)
def test_an_interrupt_while_a_producer_reads_the_first_answer_ends_its_start(
    broker: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(KafkaConnection, "data_received", _interrupt)
    with pytest.raises(KeyboardInterrupt):
        connect(KafkaProducer, KafkaOptions(bootstrap_servers=broker), metrics_enabled=False)
