"""A broker with logins, TLS and ACLs, and short ways to consume in a test."""

import base64
import gc
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaAdminClient, KafkaProducer
from kafka.admin import ACL, ACLOperation, ACLPermissionType, NewTopic, ResourcePattern, ResourceType
from pydantic import SecretStr

from tests.kafka_io.certificates import Certificates, make_certificates
from tests.kafka_io.reading import Join, Reader
from worker.exits import Exit, StopError
from worker.kafka_io import Consumer, KafkaOptions, Rebalance, check_topics
from worker.tools.local.brokers import ApacheKafka

TOPICS = ("rerank-requests", "rerank-results", "rerank-dead-letters")
USERS = {"worker": "worker-secret", "reader": "reader-secret", "stranger": "stranger-secret"}
_PRINCIPALS = ("User:worker", "User:CN=client")


@dataclass(frozen=True)
class SecureBroker:
    """Its addresses and files, and options that work, to be spoiled by a test."""

    kafka: ApacheKafka
    certificates: Certificates
    folder: Path

    def scram(self, **changes: Any) -> KafkaOptions:
        return replace(
            KafkaOptions(
                bootstrap_servers=self.kafka.address("SASL_SSL"),
                security_protocol="SASL_SSL",
                sasl_mechanism="SCRAM-SHA-512",
                sasl_username="worker",
                sasl_password=SecretStr("worker-secret"),
                ssl_ca_file=self.certificates.ca,
            ),
            **changes,
        )

    def mutual_tls(self, **changes: Any) -> KafkaOptions:
        return replace(
            KafkaOptions(
                bootstrap_servers=self.kafka.address("SSL"),
                security_protocol="SSL",
                ssl_ca_file=self.certificates.ca,
                ssl_cert_file=self.certificates.certificate("client"),
                ssl_key_file=self.certificates.key("client"),
            ),
            **changes,
        )

    def token_file(self, user: str = "worker", seconds: int = 600) -> Path:
        def part(content: dict[str, object]) -> str:
            return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")

        now = int(time.time())
        path = self.folder / f"{user}.token"
        path.write_text(part({"alg": "none"}) + "." + part({"sub": user, "iat": now, "exp": now + seconds}) + ".\n")
        return path


@pytest.fixture
def options(broker: str, topics: Callable[..., str]) -> KafkaOptions:
    """Options of a group of the test's own, on a topic of two partitions."""
    topic = topics("requests", partitions=2)
    return KafkaOptions(bootstrap_servers=broker, request_topic=topic, group_id=topic, session_timeout_s=6)


@pytest.fixture
def join(options: KafkaOptions) -> Iterator[Join]:
    """Make members of the group, which leave it after the test."""
    with ExitStack() as stack:

        def make(hand_over: Callable[[Rebalance], object] | None = None, **changes: Any) -> Reader:
            return Reader(stack.enter_context(Consumer(replace(options, **changes))), hand_over)

        yield make


@pytest.fixture
def produce(broker: str, options: KafkaOptions) -> Iterator[Callable[..., None]]:
    """Send records to the request topic: `produce(partition, count)`."""
    with KafkaProducer(bootstrap_servers=broker, max_request_size=12_000_000) as producer:

        def send(partition: int = 0, count: int = 1, **record: Any) -> None:
            for number in range(count):
                given = {"key": b"key", "value": b"%d" % number, **record}
                producer.send(options.request_topic, partition=partition, **given)
            producer.flush(30)

        yield send


@pytest.fixture(scope="session")
def secure_broker(apache_kafka_home: Path, broker_logs: Path) -> Iterator[SecureBroker]:
    """Apache Kafka with SASL_SSL and SSL listeners; `worker` may do what a worker does, the other users may not."""
    folder = broker_logs / "secure"
    certificates = make_certificates(folder / "certificates")
    login = "org.apache.kafka.common.security"
    properties = {
        "sasl.enabled.mechanisms": "SCRAM-SHA-512,PLAIN,OAUTHBEARER",
        "listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
        "listener.name.sasl_ssl.plain.sasl.jaas.config": (
            f'{login}.plain.PlainLoginModule required user_worker="worker-secret";'
        ),
        "listener.name.sasl_ssl.oauthbearer.sasl.jaas.config": (
            f'{login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'
        ),
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(certificates.keystore("broker")),
        "listener.name.expired.ssl.keystore.location": str(certificates.keystore("expired-broker")),
        "listener.security.protocol.map": (
            "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL,EXPIRED:SSL"
        ),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": str(certificates.ca),
        "listener.name.ssl.ssl.client.auth": "required",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
    }
    kafka = ApacheKafka(
        apache_kafka_home,
        listeners=("SASL_SSL", "SSL", "EXPIRED"),
        users=USERS,
        properties=properties,
        folder=folder / "broker",
    )
    with kafka:
        with KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers) as admin:
            admin.create_topics([NewTopic(name, num_partitions=2, replication_factor=1) for name in TOPICS])
            admin.wait_for_topics(list(TOPICS))
            admin.create_acls([*_worker_acls(), *_reader_acls()])
        yield SecureBroker(kafka, certificates, folder)


def allow(principal: str, operation: ACLOperation, kind: ResourceType, name: str) -> ACL:
    return ACL(principal, "*", operation, ACLPermissionType.ALLOW, ResourcePattern(kind, name))


def _worker_acls() -> list[ACL]:
    requests, results, dead_letters = TOPICS
    return [
        acl
        for principal in _PRINCIPALS
        for acl in (
            allow(principal, ACLOperation.READ, ResourceType.TOPIC, requests),
            allow(principal, ACLOperation.WRITE, ResourceType.TOPIC, results),
            allow(principal, ACLOperation.WRITE, ResourceType.TOPIC, dead_letters),
            allow(principal, ACLOperation.READ, ResourceType.GROUP, "rerank-worker"),
        )
    ]


def _reader_acls() -> list[ACL]:
    """The user `reader` may describe every topic, and read and write none of them."""
    return [allow("User:reader", ACLOperation.DESCRIBE, ResourceType.TOPIC, name) for name in TOPICS]


@pytest.fixture
def stopped(caplog: pytest.LogCaptureFixture) -> Iterator[Callable[[KafkaOptions], StopError]]:
    """Check the topics with options that cannot work: gives the error, which must be all that is said."""

    def check(options: KafkaOptions) -> StopError:
        code, said = _code_and_text(options)
        gc.collect()  # a socket that was left open would warn here
        assert said.startswith(options.bootstrap_servers)
        assert "\n" not in said
        assert "secret" not in said
        return StopError(code, said)

    yield check
    said = caplog.get_records("call")  # `records` are those of the teardown here
    assert [record.getMessage() for record in said if record.levelno >= logging.WARNING] == []


def _code_and_text(options: KafkaOptions) -> tuple[Exit, str]:
    with pytest.raises(StopError) as stop:
        check_topics(options)
    return stop.value.code, str(stop.value)
