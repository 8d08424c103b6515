"""What the component strimzi asks for is what a worker needs: topics and rights as written there, on Apache Kafka."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from kafka import KafkaAdminClient

from tests.deploy.manifests import Manifests, render
from tests.deploy.strimzi import SCRAM, acls, new_topic
from tests.integration.line import Line, Worker, event
from worker.exits import Exit
from worker.tools.local.brokers import ApacheKafka

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PASSWORD = "secret of the tests"
_OPTIONS = {"requests": "REQUEST", "results": "RESULT", "dead-letters": "DEAD_LETTER"}

pytestmark = pytest.mark.apache


@pytest.fixture(scope="module")
def manifests(tmp_path_factory: pytest.TempPathFactory) -> Manifests:
    return render("exactly-once with all components", tmp_path_factory.mktemp("kustomization"))


@pytest.fixture(scope="module")
def kafka(apache_kafka_home: Path, manifests: Manifests, broker_logs: Path) -> Iterator[ApacheKafka]:
    (user,) = manifests.of_kind("KafkaUser")
    broker = ApacheKafka(
        apache_kafka_home,
        listeners=("SASL_PLAINTEXT",),
        users={user["metadata"]["name"]: _PASSWORD},
        properties=SCRAM,
        folder=broker_logs / "strimzi",
    )
    with broker:
        with KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers) as admin:
            admin.create_topics([new_topic(topic) for topic in manifests.of_kind("KafkaTopic")])
            admin.create_acls(list(acls(user)))
        yield broker


@pytest.fixture
def line(kafka: ApacheKafka, manifests: Manifests, tmp_path: Path) -> Iterator[Line]:
    names = manifests.environment()
    topics = {stem: names[f"RERANK_{option}_TOPIC"] for stem, option in _OPTIONS.items()}
    line = Line(kafka.bootstrap_servers, lambda stem, **_: topics[stem], tmp_path)
    yield line
    line.close()


def _start(line: Line, kafka: ApacheKafka, manifests: Manifests, **options: Any) -> Worker:
    """Start a worker with the group and the login of the manifests; without TLS, which is not Strimzi's matter here."""
    names = manifests.environment()
    given = {
        "bootstrap_servers": kafka.address("SASL_PLAINTEXT"),
        "group_id": names["RERANK_GROUP_ID"],
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": names["RERANK_SASL_MECHANISM"],
        "sasl_username": names["RERANK_SASL_USERNAME"],
        "sasl_password": _PASSWORD,
        **options,
    }
    return line.start(module="tests.integration.light_worker", **given)


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_its_user_may_do_what_a_worker_does(
    line: Line, kafka: ApacheKafka, manifests: Manifests, delivery: str
) -> None:
    transactional_id = manifests.environment()["RERANK_TRANSACTIONAL_ID"]
    options = {"transactional_id": transactional_id} if delivery == "exactly-once" else {}
    worker = _start(line, kafka, manifests, delivery=delivery, **options)
    line.publish([event(1), b"no JSON"])
    for metric in ("rerank_events_total", "rerank_dead_letters_total"):
        worker.until(f"{metric} is 1", lambda metric=metric: worker.metric(metric) == 1)  # type: ignore[misc]
    assert worker.stop() == 0
    assert "could not be read" not in worker.log.read_text()  # the limits of the topics


def test_its_user_may_not_read_what_the_worker_writes(line: Line, kafka: ApacheKafka, manifests: Manifests) -> None:
    worker = _start(line, kafka, manifests, wait=False, request_topic=line.results, result_topic=line.requests)
    assert worker.wait(120) == Exit.FORBIDDEN
    tail = worker.tail()  # it names the first that the broker mentions
    assert f"Read topic {line.results}" in tail or f"Write topic {line.requests}" in tail
