"""What the brokers say of the topics that are written to: whether they are compacted, and how large a batch may be."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NamedTuple

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from worker.kafka_io.connect import connect

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.kafka_io.options import KafkaOptions

log = logging.getLogger(__name__)

POLICY, _LIMIT = "cleanup.policy", "max.message.bytes"


class TopicSettings(NamedTuple):
    """The settings of the result and the dead-letter topic, as far as the brokers say them.

    `policies` are their `cleanup.policy`, `limits` the largest batch that each takes, in bytes. `unsaid` has the topics
    without a policy here, and why.
    """

    policies: Mapping[str, str]
    limits: Mapping[str, int]
    unsaid: Mapping[str, str]


def ask_topic_settings(admin: Any, options: KafkaOptions) -> TopicSettings:
    """Ask for all of them at once; the right to do so, DescribeConfigs, is worth having, not needed."""
    topics = tuple(dict.fromkeys((options.result_topic, options.dead_letter_topic)))
    wanted = [ConfigResource(ConfigResourceType.TOPIC, topic, {POLICY: None, _LIMIT: None}) for topic in topics]
    try:
        answers = admin.describe_configs(wanted, config_filter="all").values()
    except kafka_errors.KafkaError as error:
        log.info(
            "the limits of the topics could not be read: %(error)s", {"error": error}, extra={"event": "limits_unknown"}
        )
        return TopicSettings({}, {}, dict.fromkeys(topics, f"{type(error).__name__}: {error}"))
    said = {
        topic: {name: one["value"] for name, one in settings.items()}
        for found in answers
        for topic, settings in found.items()
    }
    policies = {topic: each[POLICY] for topic, each in said.items() if POLICY in each}
    # The client hides why the broker says nothing of a topic; the usual reason is this.
    why = "the broker does not say, for want of the right DescribeConfigs"
    return TopicSettings(
        policies,
        {topic: int(each[_LIMIT]) for topic, each in said.items() if _LIMIT in each},
        {topic: why for topic in topics if topic not in policies},
    )


def record_limits(options: KafkaOptions, settings: TopicSettings | None = None) -> dict[str, int]:
    """Return how large the largest record may be that the result and the dead-letter topic take, in bytes.

    Without `settings`, the brokers are asked. Raises as `connect` does then.
    """
    if settings is None:
        admin = connect(KafkaAdminClient, options)
        try:
            settings = ask_topic_settings(admin, options)
        finally:
            admin.close()
    most = options.max_record_bytes
    return {
        topic: min(settings.limits.get(topic, most), most)
        for topic in (options.result_topic, options.dead_letter_topic)
    }
