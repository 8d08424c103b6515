"""What the worker adds to a lone event: its latency less the model's time and the broker's two hops."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import orjson

from worker.exits import Exit, StopError
from worker.tools.bench.echo import hops_s

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.tools.bench.post import Post
    from worker.tools.bench.report import Report
    from worker.tools.bench.saturation import Request

_PATIENCE_S = 30.0
GAP_S = (0.02, 0.08)  # between two events
_STEPS = ("waiting", "decode", "tokenize", "schedule")


class Lone(NamedTuple):
    """Seconds of each lone event: from sending it to reading its result, of that the model's; and of each round trip.

    `steps` are the mean milliseconds that the worker itself counts for what it does before the model.
    """

    latencies_s: np.ndarray
    model_s: np.ndarray
    round_trips_s: np.ndarray
    steps_ms: dict[str, float]

    @property
    def added_ms(self) -> np.ndarray:
        """Each event's latency less its own model time and the median round trip, in milliseconds."""
        round_trip_s = float(np.median(self.round_trips_s))
        return np.asarray((self.latencies_s - self.model_s - round_trip_s) * 1000)


class Answer(NamedTuple):
    """A lone event's result, and the seconds from sending the one to reading the other."""

    latency_s: float
    value: bytes


def measure(post: Post, requests: Sequence[Request], check: Callable[[], None], chance: np.random.Generator) -> Lone:
    """Send the requests one at a time, each after the result of the one before; then echo the same bytes.

    The echo goes through the dead-letter topic, which nobody else reads: once with a request's bytes and once with a
    result's, which together are the broker's round trip. Raises StopError where a result is missing.
    """
    gaps_s = chance.uniform(*GAP_S, len(requests)).tolist()
    answers = send_alone(post, requests, check, gaps_s)
    timings = [orjson.loads(answer.value)["timing_ms"] for answer in answers]
    topic = post.options.dead_letter_topic
    there = hops_s(post, topic, [request.value for request in requests], gaps_s)
    back = hops_s(post, topic, [answer.value for answer in answers], gaps_s)
    return Lone(
        latencies_s=np.array([answer.latency_s for answer in answers]),
        model_s=np.array([timing["score"] / 1000 for timing in timings]),
        round_trips_s=np.array(there) + np.array(back),
        steps_ms={step: float(np.mean([timing.get(step, 0.0) for timing in timings])) for step in _STEPS},
    )


def send_alone(
    post: Post, requests: Sequence[Request], check: Callable[[], None], gaps_s: Sequence[float]
) -> list[Answer]:
    """Send each request after the result of the one before and its gap. Raises StopError where a result is missing."""
    answers = []
    for request, gap_s in zip(requests, gaps_s, strict=True):
        time.sleep(gap_s)
        sent_s = time.monotonic()
        post.send(request.key, request.value)
        came = post.read_until({request.key}, check, patience_s=_PATIENCE_S)
        if not came or came[0].record.partition.topic != post.options.result_topic:
            raise StopError(Exit.CRASH, "a lone event was not answered; the worker's log says why")
        answers.append(Answer(came[0].came_s - sent_s, came[0].record.value or b""))
    return answers


def tell(report: Report, lone: Lone) -> None:
    """Add the figures to a report."""
    report.add("lone.events", "events", len(lone.latencies_s))
    for name, values in (
        ("latency", lone.latencies_s * 1000),
        ("model", lone.model_s * 1000),
        ("broker_round_trip", lone.round_trips_s * 1000),
        ("added", lone.added_ms),
    ):
        for quantile in (50, 99):
            value = np.quantile(values, quantile / 100, method="inverted_cdf")
            report.add(f"lone.{name}_ms_p{quantile}", "ms", float(value))
    steps = ", ".join(f"{step} {took_ms:.2f} ms" for step, took_ms in lone.steps_ms.items())
    report.note(
        f"lone.added = latency - the event's model time - the median of the broker's round trip (a request's and a "
        f"result's bytes through an idle topic). By the worker's own count, on average: {steps}."
    )
