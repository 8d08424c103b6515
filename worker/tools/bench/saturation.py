"""How fast a consumer works off a topic that was filled beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from worker.exits import Exit, StopError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.records import Record
    from worker.tools.bench.post import Post
    from worker.tools.local.children import Child

_PATIENCE_S = 60.0
_START_WITHIN_S = 120.0
_LOOK_S = 0.2
# The first results come while batches fill and caches are cold: counting begins with the last of this share of them.
_SKIPPED = 0.1
_RESOLUTION_S = 0.001


class Consuming(Protocol):
    """A process that reads requests and writes results."""

    child: Child

    def check(self) -> None:
        """Raise if it has ended."""


class Request(NamedTuple):
    """A request to publish: its key, its bytes, and how many candidates it has."""

    key: bytes
    value: bytes
    candidates: int


class Drained(NamedTuple):
    """The rate at which results came: of events, and of their pairs, a second."""

    events_per_s: float
    pairs_per_s: float


def warm(consumer: Consuming, post: Post, requests: Sequence[Request]) -> None:
    """Return when the consumer has answered these requests: it has its model, its partitions, and warm code paths."""
    post.fill((each.key, each.value) for each in requests)
    _answers(consumer, post, requests, _START_WITHIN_S)


def drain(consumer: Consuming, post: Post, requests: Sequence[Request]) -> Drained:
    """Publish all requests while the consumer is stopped (SIGSTOP), let it go on, and measure from result to result.

    The times are the results' own timestamps: when they were handed to the producer. Raises StopError where one is
    missing.
    """
    consumer.child.pause()
    try:
        post.fill((each.key, each.value) for each in requests)
    finally:
        consumer.child.resume()
    candidates = {each.key: each.candidates for each in requests}
    results = _answers(consumer, post, requests, _PATIENCE_S)
    return rates([(record.timestamp_ms / 1000, candidates[key]) for key, record in results.items()])


def _answers(consumer: Consuming, post: Post, requests: Sequence[Request], patience_s: float) -> dict[bytes, Record]:
    """Return the result of each key. Raises StopError where one is missing, or came as a dead letter."""
    keys = {each.key for each in requests}
    came = post.read_until(keys, consumer.check, patience_s=patience_s, pause_s=_LOOK_S)
    topic = post.options.result_topic
    results = {record.key or b"": record for record, _ in came if record.partition.topic == topic}
    if len(results) < len(requests):
        raise StopError(
            Exit.CRASH,
            f"expected {len(requests)} results, got {len(results)}; the last lines of the consumer:\n"
            f"{consumer.child.tail()}",
        )
    return results


def rates(results: Sequence[tuple[float, int]]) -> Drained:
    """Return the rates of results given as (seconds, pairs), from the last of the first tenth to the very last.

    Results leave in batches: what has the same time as the one that starts the clock was done before it started. Only
    where all have one time they count as a millisecond apart, the resolution of their timestamps.
    """
    ordered = sorted(results)
    first = max(1, round(_SKIPPED * len(ordered)))
    began_s = ordered[first - 1][0]
    counted = [(at_s, pairs) for at_s, pairs in ordered if at_s > began_s] or ordered[first:]
    took_s = max(_RESOLUTION_S, ordered[-1][0] - began_s)
    return Drained(len(counted) / took_s, sum(pairs for _, pairs in counted) / took_s)
