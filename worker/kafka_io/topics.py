"""Checks at the start that the topics exist and may be used, and makes them where that is wanted."""

from typing import Any

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors

from worker.exits import Exit, StopError
from worker.kafka_io.connect import connect
from worker.kafka_io.errors import forbidden, running_trouble
from worker.kafka_io.options import KafkaOptions
from worker.kafka_io.topic_settings import TopicSettings, ask_topic_settings


def check_topics(options: KafkaOptions) -> TopicSettings:
    """Return when the request, result and dead-letter topics are there and the worker may read and write them.

    It returns the settings of the two that are written to, as the same connection has found them. Missing ones are made
    where `create_topics` says so. Raises StopError that names everything that is missing.
    """
    needed = {options.request_topic: "READ", options.result_topic: "WRITE", options.dead_letter_topic: "WRITE"}
    admin = connect(KafkaAdminClient, options)
    try:
        missing = _check(admin, needed, options)
        if missing:
            _create(admin, missing, options)
            _check(admin, needed, options)
        return ask_topic_settings(admin, options)
    except kafka_errors.KafkaError as error:
        raise running_trouble(error, options, topics=tuple(needed), topic_operation="Describe") from error
    finally:
        admin.close()


def _check(admin: Any, needed: dict[str, str], options: KafkaOptions) -> list[str]:
    """Return the topics that do not exist."""
    missing = []
    for topic in admin.describe_topics(list(needed)):  # asks without making them
        name = topic["name"]
        match kafka_errors.for_code(topic["error_code"]):
            case kafka_errors.NoError:
                allowed = topic["authorized_operations"]  # None where the broker does not say
                if allowed is not None and needed[name] not in allowed:
                    raise forbidden(options, needed[name].capitalize(), f"topic {name}")
            case kafka_errors.UnknownTopicOrPartitionError:
                missing.append(name)
            case kafka_errors.TopicAuthorizationFailedError:
                raise forbidden(options, needed[name].capitalize(), f"topic {name}")
            case kafka_errors.LeaderNotAvailableError:
                pass  # it is there; clients wait for the leader
            case kind:
                raise StopError(Exit.TOPIC, f"{options.bootstrap_servers}: topic {name}: {kind.__name__}")
    return missing


def _create(admin: Any, missing: list[str], options: KafkaOptions) -> None:
    names = ", ".join(missing)
    if not options.create_topics:
        raise StopError(
            Exit.TOPIC,
            f"{options.bootstrap_servers}: missing topics: {names}; make them, or let the worker do it with "
            "--create-topics",
        )
    wanted = {"num_partitions": options.topic_partitions, "replication_factor": options.topic_replication}
    reply = admin.create_topics(dict.fromkeys(missing, wanted), raise_errors=False)
    for topic in reply["topics"]:
        kind = kafka_errors.for_code(topic["error_code"])
        if kind is kafka_errors.TopicAuthorizationFailedError:
            raise forbidden(options, "Create", f"topic {topic['name']}")
        # Another replica that starts at the same time may have been faster.
        if kind not in (kafka_errors.NoError, kafka_errors.TopicAlreadyExistsError):
            said = topic["error_message"] or kind.__name__
            raise StopError(Exit.TOPIC, f"{options.bootstrap_servers}: could not make topic {topic['name']}: {said}")
    admin.wait_for_topics(missing)
