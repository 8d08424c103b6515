"""Looks at the start whether results and dead letters without a key will be taken: a compacted topic refuses them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors

from worker.exits import Exit, StopError
from worker.kafka_io.connect import connect
from worker.kafka_io.topics import topic_settings

if TYPE_CHECKING:
    from worker.kafka_io.options import KafkaOptions

log = logging.getLogger(__name__)

_POLICY, _COMPACT = "cleanup.policy", "compact"


def check_compaction(options: KafkaOptions) -> None:
    """Return when each result and dead letter may be written, also those of a request without a key.

    Raises StopError where a topic is compacted and no option gives them a key. Where the broker does not say, that is
    a warning: the right to ask, DescribeConfigs, is not needed otherwise.
    """
    if options.key_for_keyless is not None:
        return
    policies, unknown = _policies(options)
    if unknown:
        log.warning(
            "could not read the cleanup.policy of %(topics)s: %(error)s; where that is compact, "
            "requests without a key become dead letters",
            {"topics": ", ".join(unknown), "error": unknown[next(iter(unknown))]},
            extra={"event": "policies_unknown"},
        )
    compacted = [topic for topic, policy in policies.items() if _COMPACT in policy.replace(" ", "").split(",")]
    if compacted:
        names = " and ".join(compacted)
        raise StopError(
            Exit.TOPIC,
            f"{options.bootstrap_servers}: expected topics that take records without a key, got "
            f"{_POLICY}={policies[compacted[0]]} of {names}; change it, or give what has no key one with "
            "--key-for-keyless request_id",
        )


def _policies(options: KafkaOptions) -> tuple[dict[str, str], dict[str, str]]:
    """Return the policies of the topics that results and dead letters go to, and of which it is not known, and why."""
    topics = tuple(dict.fromkeys((options.result_topic, options.dead_letter_topic)))
    admin = connect(KafkaAdminClient, options)
    try:
        policies = topic_settings(admin, topics, _POLICY)
    except kafka_errors.KafkaError as error:
        return {}, dict.fromkeys(topics, f"{type(error).__name__}: {error}")
    finally:
        admin.close()
    # The client hides why the broker says nothing of a topic; the usual reason is this.
    why = "the broker does not say, for want of the right DescribeConfigs"
    return policies, {topic: why for topic in topics if topic not in policies}
