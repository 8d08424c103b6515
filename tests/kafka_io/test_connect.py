"""Every way in which a connection is refused gives one line that names the cause, and an exit code of its own."""

import socket
from collections.abc import Callable
from typing import Literal

import pytest
from kafka.errors import KafkaConfigurationError
from pydantic import SecretStr

from tests.kafka_io.conftest import SecureBroker
from tests.kafka_io.reading import Reader, turn_until
from worker.exits import Exit, StopError
from worker.kafka_io import Consumer, KafkaOptions, Producer, check_topics
from worker.kafka_io.connect import connect


def works(options: KafkaOptions) -> None:
    """Check the topics, publish and read with these options."""
    check_topics(options)
    reports: list[Exception | None] = []
    with Producer(options) as producer, Consumer(options) as consumer:
        producer.send(options.result_topic, b"k", b"v", (), reports.append)
        reader = Reader(consumer)
        turn_until(lambda: bool(reader.owned), reader)
    assert reports == [None]


def with_token(secure_broker: SecureBroker, user: str, seconds: int = 600) -> KafkaOptions:
    return secure_broker.scram(
        sasl_mechanism="OAUTHBEARER",
        sasl_username=None,
        sasl_password=None,
        sasl_token_file=secure_broker.token_file(user, seconds),
    )


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


def test_settings_that_the_client_refuses_are_no_reason_to_try_again() -> None:
    tries = []

    def make(**_: object) -> None:
        tries.append(1)
        raise KafkaConfigurationError("a must be larger than b")

    with pytest.raises(StopError, match="do not fit together: a must be larger than b") as stop:
        connect(make, KafkaOptions())
    assert stop.value.code is Exit.USAGE
    assert len(tries) == 1
