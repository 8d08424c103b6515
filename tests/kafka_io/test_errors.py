"""What may not be done, and what fails later, gives one line that names the cause, and an exit code of its own."""

from collections.abc import Callable
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer
from kafka.admin import ACLFilter, ACLOperation, ACLPermissionType, ResourcePattern, ResourceType
from kafka.coordinator.assignors.range import RangePartitionAssignor
from kafka.errors import (
    CorruptRecordError,
    InconsistentGroupProtocolError,
    InvalidSessionTimeoutError,
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
from worker.kafka_io import Consumer, KafkaOptions, Producer
from worker.kafka_io.errors import connection_trouble, running_trouble


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


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (CorruptRecordError("at offset 7"), Exit.CORRUPT, "topic rerank-requests is corrupt"),
        (UnsupportedCodecError("snappy"), Exit.USAGE, "compression that cannot be read"),
        (InvalidSessionTimeoutError(), Exit.USAGE, "session_timeout_s: expected between group.min.session.timeout.ms"),
        (InconsistentGroupProtocolError(), Exit.GROUP, "another assignor is in group rerank-worker: "),
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


@pytest.mark.apache
def test_a_consumer_with_another_assignor_in_the_group_is_named(apache_kafka: str, topics: MakeTopic) -> None:
    topic = topics()
    options = KafkaOptions(bootstrap_servers=apache_kafka, request_topic=topic, group_id=topic, session_timeout_s=6)
    foreign = KafkaConsumer(
        topic,
        bootstrap_servers=apache_kafka,
        group_id=topic,
        partition_assignment_strategy=[RangePartitionAssignor],
        enable_auto_commit=False,
        metadata_max_age_ms=200,  # it may have joined before it knew of the topic
    )
    with foreign, Consumer(options) as consumer:
        turn_until(lambda: bool(foreign.partitions_for_topic(topic)))
        turn_until(lambda: bool(foreign.poll(50) or foreign.assignment()))
        with pytest.raises(StopError) as stop:
            turn_until(lambda: False, Reader(consumer))
    assert stop.value.code is Exit.GROUP
    said = str(stop.value)
    assert f"is in group {topic}: " in said
    assert "CooperativeStickyAssignor" in said
    assert "\n" not in said


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
