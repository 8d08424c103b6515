"""Since when a record can have been readable at the earliest, by where its partition ended before.

The answer to a fetch says where a partition ends. A record at that offset or behind it was not readable yet when the
fetch was sent. The time of sending counts, not that of the answer, which may have been on its way for long: while a
broker does not answer, nothing more is known. Nobody is asked anything for this.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from kafka import TopicPartition

_SESSIONS_SINCE = 7  # version of the answers to fetches
_KEPT = 4  # a record is received when the next fetches may have been answered already


class _End(NamedTuple):
    """A partition did not reach beyond this offset when a fetch was sent at this time of the monotonic clock."""

    offset: int
    sent_s: float


class ReadableSince:
    """Where the partitions of one KafkaConsumer, whose fetcher it changes, ended when they were fetched."""

    def __init__(self, consumer: Any) -> None:
        self._ends: dict[Any, tuple[_End, ...]] = {}  # by the client's name; of increasing offsets
        fetcher = consumer._fetcher  # noqa: SLF001 - the client has no hook for this
        self._handle = fetcher._handle_fetch_response  # noqa: SLF001
        fetcher._handle_fetch_response = self._note_and_handle  # noqa: SLF001

    def readable_since_s(self, name: Any, offset: int) -> float | None:
        """Return a time before which the record at this offset was not readable; None: not known. For any thread."""
        return max((end.sent_s for end in self._ends.get(name, ()) if end.offset <= offset), default=None)

    def _note_and_handle(self, node_id: Any, fetch_offsets: dict[Any, int], sent_s: float, response: Any) -> None:
        """Take an answer, on the client's IO thread, before the client can give its records to anybody."""
        if not _is_refused(response):
            self._note(fetch_offsets, sent_s, response)
        self._handle(node_id, fetch_offsets, sent_s, response)

    def _note(self, fetched: dict[Any, int], sent_s: float, response: Any) -> None:
        told = {
            TopicPartition(topic.topic, each.partition_index): each
            for topic in response.responses
            for each in topic.partitions
        }
        for name in fetched:
            if name not in told:  # in a fetch session this says that it ends where the last answer said
                before = self._ends.get(name)
                if before:
                    self._keep(name, _End(before[-1].offset, sent_s))
            elif told[name].error_code == 0:
                self._keep(name, _End(told[name].high_watermark, sent_s))
            else:
                self._ends.pop(name, None)

    def _keep(self, name: Any, end: _End) -> None:
        earlier = [each for each in self._ends.get(name, ()) if each.offset < end.offset]
        self._ends[name] = (*earlier[1 - _KEPT :], end)


def _is_refused(response: Any) -> bool:
    """Return whether an answer says nothing of the partitions, because of an error or of a quota."""
    return bool(response.API_VERSION >= _SESSIONS_SINCE and (response.error_code != 0 or response.session_id < 0))
