"""Looks at the start whether results and dead letters without a key will be taken: a compacted topic refuses them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from worker.exits import Exit, StopError
from worker.kafka_io.topic_settings import POLICY

if TYPE_CHECKING:
    from worker.kafka_io.options import KafkaOptions
    from worker.kafka_io.topic_settings import TopicSettings

log = logging.getLogger(__name__)

_COMPACT = "compact"


def check_compaction(options: KafkaOptions, settings: TopicSettings) -> None:
    """Return when each result and dead letter may be written, also those of a request without a key.

    Raises StopError where a topic is compacted and no option gives them a key. Where the broker does not say, that is
    a warning: the right to ask, DescribeConfigs, is not needed otherwise.
    """
    if options.key_for_keyless is not None:
        return
    policies, unknown = settings.policies, settings.unsaid
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
            f"{POLICY}={policies[compacted[0]]} of {names}; change it, or give what has no key one with "
            "--key-for-keyless request_id",
        )
