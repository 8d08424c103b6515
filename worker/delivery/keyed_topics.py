"""Which topics turned out to take no record without a key, as compacted ones do. Any thread may add one, or ask."""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)


class KeyedTopics:
    """The topics that have refused a record without a key since the start."""

    def __init__(self) -> None:
        self._topics: set[str] = set()

    def __contains__(self, topic: str) -> bool:
        """Whether a topic has refused one."""
        return topic in self._topics

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._topics)

    def add(self, topic: str) -> None:
        """Note that a topic has refused one; the first time is said."""
        if topic in self._topics:
            return
        self._topics.add(topic)
        log.warning(
            "topic %(topic)s refuses records without a key: results without one become dead letters, and dead letters "
            "get one; set --key-for-keyless request_id, or change its cleanup.policy",
            {"topic": topic},
            extra={"event": "key_wanted", "topic": topic},
        )
