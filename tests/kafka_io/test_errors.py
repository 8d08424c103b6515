"""Every way to be refused gives one line that names the cause, and an exit code of its own."""

import gc
import logging
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest
from kafka import KafkaAdminClient
from kafka.admin import ACLFilter, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.errors import (
    CorruptRecordError,
    InvalidSessionTimeoutError,
    KafkaConfigurationError,
    KafkaConnectionError,
    KafkaTimeoutError,
    TopicAuthorizationFailedError,
    UnsupportedCodecError,
)
from pydantic import SecretStr

from tests.conftest import MakeTopic
from tests.kafka_io.conftest import SecureBroker, allow
from tests.kafka_io.reading import Reader, turn_until
from worker.exits import Exit, StopError
from worker.kafka_io import Consumer, KafkaOptions, Producer, check_topics
from worker.kafka_io.connect import connect
from worker.kafka_io.errors import connection_trouble, running_trouble
from worker.kafka_io.quiet import OncePer


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


def works(options: KafkaOptions) -> None:
    """Check the topics, publish and read with these options."""
    check_topics(options)
    reports: list[Exception | None] = []
    with Producer(options) as producer, Consumer(options) as consumer:
        producer.send(options.result_topic, b"k", b"v", (), reports.append)
        reader = Reader(consumer)
        turn_until(lambda: bool(reader.owned), reader)
    assert reports == [None]


@pytest.mark.apache
class TestLogin:
    def test_scram_over_tls_works(self, secure_broker: SecureBroker) -> None:
        works(secure_broker.scram())

    def test_plain_over_tls_works(self, secure_broker: SecureBroker) -> None:
        works(secure_broker.scram(sasl_mechanism="PLAIN"))

    def test_a_token_file_works(self, secure_broker: SecureBroker) -> None:
        works(with_token(secure_broker, "worker"))

    def test_mutual_tls_works(self, secure_broker: SecureBroker) -> None:
        works(secure_broker.mutual_tls())

    @pytest.mark.parametrize("mechanism", ["SCRAM-SHA-512", "PLAIN"])
    def test_a_wrong_password_is_a_refused_login(
        self, secure_broker: SecureBroker, stopped: Callable[[KafkaOptions], StopError], mechanism: str
    ) -> None:
        error = stopped(secure_broker.scram(sasl_mechanism=mechanism, sasl_password=SecretStr("not my secret")))
        assert error.code is Exit.LOGIN
        assert f"refused the login of user worker with {mechanism}" in str(error)

    def test_an_expired_token_is_a_refused_login(
        self, secure_broker: SecureBroker, stopped: Callable[[KafkaOptions], StopError]
    ) -> None:
        error = stopped(with_token(secure_broker, "late", seconds=-60))
        assert error.code is Exit.LOGIN
        assert "sasl_token_file" in str(error)

    def test_a_mechanism_that_the_broker_does_not_have_is_a_refused_login(
        self, secure_broker: SecureBroker, stopped: Callable[[KafkaOptions], StopError]
    ) -> None:
        assert stopped(secure_broker.scram(sasl_mechanism="SCRAM-SHA-256")).code is Exit.LOGIN

    def test_a_listener_without_a_login_is_a_reason_to_look_at_the_protocol(
        self, secure_broker: SecureBroker, stopped: Callable[[KafkaOptions], StopError]
    ) -> None:
        address = secure_broker.kafka.address("PLAINTEXT")
        error = stopped(
            secure_broker.scram(bootstrap_servers=address, security_protocol="SASL_PLAINTEXT", ssl_ca_file=None)
        )
        assert error.code is Exit.LOGIN
        assert "security_protocol SASL_PLAINTEXT: a listener without a login answers so" in str(error)


@pytest.mark.apache
class TestCertificate:
    def test_a_broker_whose_authority_is_unknown_is_not_trusted(
        self, secure_broker: SecureBroker, stopped: Callable[[KafkaOptions], StopError]
    ) -> None:
        error = stopped(secure_broker.scram(ssl_ca_file=secure_broker.certificates.other_ca))
        assert error.code is Exit.CERTIFICATE
        assert "the broker's certificate is not trusted" in str(error)

    def test_a_missing_client_certificate_is_asked_for(
        self, secure_broker: SecureBroker, stopped: Callable[[KafkaOptions], StopError]
    ) -> None:
        error = stopped(secure_broker.mutual_tls(ssl_cert_file=None, ssl_key_file=None))
        assert error.code is Exit.CERTIFICATE
        assert "ssl_cert_file" in str(error)

    def test_a_client_certificate_from_elsewhere_is_not_accepted(
        self, secure_broker: SecureBroker, stopped: Callable[[KafkaOptions], StopError]
    ) -> None:
        certificates = secure_broker.certificates
        error = stopped(
            secure_broker.mutual_tls(
                ssl_cert_file=certificates.certificate("stranger"), ssl_key_file=certificates.key("stranger")
            )
        )
        assert error.code is Exit.CERTIFICATE
        assert "does not accept the worker's certificate" in str(error)

    def test_an_expired_certificate_of_the_broker_is_named_as_that(
        self, secure_broker: SecureBroker, stopped: Callable[[KafkaOptions], StopError]
    ) -> None:
        error = stopped(secure_broker.mutual_tls(bootstrap_servers=secure_broker.kafka.address("EXPIRED")))
        assert error.code is Exit.CERTIFICATE
        assert "the broker's certificate is not trusted" in str(error)
        assert "certificate has expired" in str(error)

    def test_an_expired_certificate_of_the_worker_is_not_accepted(
        self, secure_broker: SecureBroker, stopped: Callable[[KafkaOptions], StopError]
    ) -> None:
        certificates = secure_broker.certificates
        error = stopped(
            secure_broker.mutual_tls(
                ssl_cert_file=certificates.certificate("expired-client"),
                ssl_key_file=certificates.key("expired-client"),
            )
        )
        assert error.code is Exit.CERTIFICATE
        assert "does not accept the worker's certificate; see whether it has expired" in str(error)

    def test_tls_with_a_broker_that_does_not_speak_it(
        self, secure_broker: SecureBroker, stopped: Callable[[KafkaOptions], StopError]
    ) -> None:
        error = stopped(secure_broker.mutual_tls(bootstrap_servers=secure_broker.kafka.address("PLAINTEXT")))
        assert error.code is Exit.CERTIFICATE
        assert "check security_protocol" in str(error)


@pytest.mark.apache
class TestForbidden:
    @pytest.mark.parametrize("user", ["stranger", "reader"])
    def test_a_user_that_may_not_read_the_requests_is_named_with_the_topic(
        self, secure_broker: SecureBroker, stopped: Callable[[KafkaOptions], StopError], user: str
    ) -> None:
        error = stopped(secure_broker.scram(sasl_username=user, sasl_password=SecretStr(f"{user}-secret")))
        assert error.code is Exit.FORBIDDEN
        assert f"user {user} may not Read topic rerank-requests" in str(error)

    def test_a_result_topic_that_may_not_be_written(
        self, secure_broker: SecureBroker, stopped: Callable[[KafkaOptions], StopError]
    ) -> None:
        error = stopped(secure_broker.scram(result_topic="rerank-requests", request_topic="rerank-results"))
        assert error.code is Exit.FORBIDDEN
        assert "may not Read topic rerank-results" in str(error)

    def test_a_group_that_may_not_be_joined_is_named_by_the_first_poll(self, secure_broker: SecureBroker) -> None:
        with Consumer(secure_broker.scram(group_id="others")) as consumer:
            reader = Reader(consumer)
            with pytest.raises(StopError, match="user worker may not Read group others") as stop:
                turn_until(lambda: bool(reader.owned), reader)
        assert stop.value.code is Exit.FORBIDDEN

    def test_a_send_that_is_not_allowed_is_reported_as_that(self, secure_broker: SecureBroker) -> None:
        reports: list[Exception | None] = []
        with Producer(secure_broker.scram()) as producer:
            producer.send("rerank-requests", b"k", b"v", (), reports.append)
        (error,) = reports
        assert isinstance(error, StopError)
        assert error.code is Exit.FORBIDDEN
        assert "may not Write topic rerank-requests" in str(error)

    def test_a_permission_that_is_taken_away_while_reading_stops_the_worker(self, secure_broker: SecureBroker) -> None:
        acl = allow("User:worker", ACLOperation.READ, ResourceType.TOPIC, "rerank-requests")
        with (
            KafkaAdminClient(bootstrap_servers=secure_broker.kafka.bootstrap_servers) as admin,
            Consumer(secure_broker.scram()) as consumer,
        ):
            reader = Reader(consumer)
            turn_until(lambda: bool(reader.owned), reader)
            topic = ResourcePattern(ResourceType.TOPIC, "rerank-requests")
            admin.delete_acls([ACLFilter("User:worker", "*", ACLOperation.READ, ACLPermissionType.ALLOW, topic)])
            try:
                with pytest.raises(StopError, match="may not Read topic rerank-requests") as stop:
                    turn_until(lambda: False, reader)
            finally:
                admin.create_acls([acl])
        assert stop.value.code is Exit.FORBIDDEN
        with pytest.raises(RuntimeError, match="poll after an error"):
            consumer.poll(0, 1)


class TestUnreachable:
    @pytest.mark.parametrize(("address", "reason"), [("127.0.0.1:1", "ECONNREFUSED"), ("no.invalid:9092", "DNS")])
    def test_an_address_where_nobody_is(
        self, stopped: Callable[[KafkaOptions], StopError], address: str, reason: str
    ) -> None:
        error = stopped(KafkaOptions(bootstrap_servers=address, connect_timeout_s=0.7))
        assert error.code is Exit.UNREACHABLE
        assert reason in str(error)
        assert "check bootstrap_servers" in str(error)

    @pytest.mark.parametrize(
        ("protocol", "said"),
        [
            ("PLAINTEXT", "check bootstrap_servers and that"),
            ("SSL", "no answer to the TLS handshake; check bootstrap_servers and security_protocol"),
        ],
    )
    def test_a_port_that_takes_calls_and_says_nothing(
        self, stopped: Callable[[KafkaOptions], StopError], protocol: Literal["PLAINTEXT", "SSL"], said: str
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            address = f"127.0.0.1:{silent.getsockname()[1]}"
            options = KafkaOptions(bootstrap_servers=address, connect_timeout_s=0.7, security_protocol=protocol)
            error = stopped(options)
        assert error.code is Exit.UNREACHABLE
        assert said in str(error)

    @pytest.mark.apache
    def test_plain_text_with_a_broker_that_speaks_tls(
        self, secure_broker: SecureBroker, stopped: Callable[[KafkaOptions], StopError]
    ) -> None:
        address = secure_broker.kafka.address("SASL_SSL")
        error = stopped(KafkaOptions(bootstrap_servers=address, connect_timeout_s=0.7))
        assert error.code is Exit.UNREACHABLE
        assert "check security_protocol" in str(error)


def with_token(secure_broker: SecureBroker, user: str, seconds: int = 600) -> KafkaOptions:
    return secure_broker.scram(
        sasl_mechanism="OAUTHBEARER",
        sasl_username=None,
        sasl_password=None,
        sasl_token_file=secure_broker.token_file(user, seconds),
    )


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (CorruptRecordError("at offset 7"), Exit.CORRUPT, "topic rerank-requests is corrupt"),
        (UnsupportedCodecError("snappy"), Exit.USAGE, "compression that cannot be read"),
        (InvalidSessionTimeoutError(), Exit.USAGE, "session_timeout_s: expected between group.min.session.timeout.ms"),
        (KafkaConnectionError("gone"), Exit.UNREACHABLE, "the address that it advertises"),
        (RuntimeError("what"), Exit.CRASH, "Kafka failed with RuntimeError: what"),
    ],
)
def test_an_error_while_running_has_a_meaning(error: Exception, code: Exit, said: str) -> None:
    trouble = running_trouble(error, KafkaOptions())
    assert trouble.code is code
    assert said in str(trouble)


@pytest.mark.parametrize(
    "error", [CorruptRecordError("at offset 7"), UnsupportedCodecError("of old"), TopicAuthorizationFailedError()]
)
def test_an_error_names_the_topics_that_it_is_about(error: Exception) -> None:
    said = str(running_trouble(error, KafkaOptions(), topics=("results", "letters", "results")))
    assert "topic results or letters" in said
    assert "rerank-requests" not in said


@pytest.mark.apache
def test_a_session_timeout_that_the_broker_does_not_take_is_named(apache_kafka: str, topics: MakeTopic) -> None:
    topic = topics()
    options = KafkaOptions(bootstrap_servers=apache_kafka, request_topic=topic, group_id=topic, session_timeout_s=1)
    with Consumer(options) as consumer:
        reader = Reader(consumer)
        with pytest.raises(StopError, match=r"session_timeout_s: expected between .*, got 1 s") as stop:
            turn_until(lambda: bool(reader.owned), reader)
    assert stop.value.code is Exit.USAGE


def test_settings_that_the_client_refuses_are_no_reason_to_try_again() -> None:
    tries = []

    def make(**_: object) -> None:
        tries.append(1)
        raise KafkaConfigurationError("a must be larger than b")

    with pytest.raises(StopError, match="do not fit together: a must be larger than b") as stop:
        connect(make, KafkaOptions())
    assert stop.value.code is Exit.USAGE
    assert len(tries) == 1


def test_one_hang_up_is_no_refused_login_yet() -> None:
    options = KafkaOptions(
        security_protocol="SASL_SSL", sasl_mechanism="PLAIN", sasl_username="u", sasl_password=SecretStr("p")
    )
    causes = [KafkaConnectionError("socket disconnected"), KafkaTimeoutError("Unable to bootstrap")]
    assert connection_trouble(causes, options, answers=1).code is Exit.UNREACHABLE
    assert connection_trouble(causes, options, answers=2).code is Exit.LOGIN


def test_a_token_that_cannot_be_read_any_more_is_a_failed_login() -> None:
    options = KafkaOptions(
        security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", sasl_token_file=Path("/run/secrets/token")
    )
    assert connection_trouble([PermissionError(13, "Permission denied")], options).code is Exit.LOGIN


def test_a_message_of_the_client_is_logged_once_in_a_while() -> None:
    once = OncePer(30.0)
    assert [once.passes("kafka", "gone: %s", now_s) for now_s in (0.0, 1.0, 29.9, 30.0, 31.0)] == [
        True, False, False, True, False
    ]  # fmt: skip
    assert once.passes("kafka", "another", 1.0)
