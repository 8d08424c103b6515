"""`rerank-worker publish`: sends the events of a file to the request topic, once all of them are known to be valid."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from worker.exits import Exit, StopError
from worker.kafka_io import KafkaOptions, Producer, RecordTooLarge, check_topics
from worker.tools.events_file import read_events
from worker.tools.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.settings import Settings
    from worker.tools.events_file import Event

_FLUSH_S = 30.0


class _Deliveries:
    """What became of the events, as the producer's thread reports it."""

    def __init__(self) -> None:
        self.acknowledged = 0
        self.failures: list[tuple[int, Exception]] = []

    def of(self, line: int) -> Callable[[Exception | None], None]:
        """Return what the producer is to call once the event of this line is acknowledged, or is not."""

        def report(error: Exception | None) -> None:
            if error is None:
                self.acknowledged += 1
            else:
                self.failures.append((line, error))

        return report


def publish(settings: Settings, file: str, *, rate: float | None = None) -> None:
    """Publish the events of `file` (`-`: standard input), keyed by their request_id, at most `rate` a second.

    Raises StopError: USAGE before anything was published, DELIVERY where the broker did not acknowledge an event.
    """
    events = read_events(file, settings.events)
    topic = settings.kafka.request_topic
    deliveries = _Deliveries()
    options = _writer(settings.kafka)
    topics = check_topics(options)
    try:
        with Producer(options, topics) as producer:
            _send(producer, topic, events, deliveries, rate)
            producer.flush(_FLUSH_S)
    except KeyboardInterrupt:
        raise StopError(
            Exit.DELIVERY, f"interrupted: {deliveries.acknowledged} of {len(events)} events are in {topic}"
        ) from None
    if deliveries.acknowledged < len(events):
        raise StopError(Exit.DELIVERY, _complaint(deliveries, len(events), topic))
    print(f"published {len(events)} {'event' if len(events) == 1 else 'events'} to {topic}")


def _writer(options: KafkaOptions) -> KafkaOptions:
    """Return the options of a client that needs the request topic alone, and may write to it."""
    topic = options.request_topic
    return dataclasses.replace(options, result_topic=topic, dead_letter_topic=topic)


def _send(producer: Producer, topic: str, events: Sequence[Event], deliveries: _Deliveries, rate: float | None) -> None:
    console = Screen(stderr=True)
    columns = (TextColumn("publishing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("publishing", total=len(events))
        began_s = time.monotonic()
        for number, event in enumerate(events):
            if rate is not None:
                time.sleep(max(0.0, began_s + number / rate - time.monotonic()))
            try:
                producer.send(topic, event.request.request_id.encode(), event.value, (), deliveries.of(event.line))
            except RecordTooLarge as error:
                deliveries.failures.append((event.line, error))
            progress.advance(task)


def _complaint(deliveries: _Deliveries, total: int, topic: str) -> str:
    head = f"{deliveries.acknowledged} of {total} events are in {topic}"
    if not deliveries.failures:
        return f"{head}; the broker did not acknowledge the others within {_FLUSH_S:.0f} s"
    line, error = min(deliveries.failures, key=lambda failure: failure[0])
    return f"{head}; {len(deliveries.failures)} failed, the first in line {line}: {type(error).__name__}: {error}"
