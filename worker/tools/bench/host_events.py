"""The events of `bench host`: texts that no run has seen before, and texts that the token cache holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from worker.tools.bench.traffic import publish_all
from worker.tools.bench.workload import load_workload
from worker.tools.bench.workload_file import Least

if TYPE_CHECKING:
    from worker.events.codec import EventOptions
    from worker.kafka_io import KafkaOptions
    from worker.tools.bench.host_options import HostOptions
    from worker.tools.bench.traffic import Published
    from worker.tools.bench.workload import Workload

# Pairs a second that a run is sized by. Where the machine is faster, runs are shorter, and the figures the same.
_RATES = {"cold": 20_000, "warm": 60_000}
_LEAST_EVENTS = 20  # of a cold run: fewer are over before anything can be seen
_WARM_TEXTS = 20_000  # different products of a warm run: the cache holds them all
_SAMPLE_LISTS = 400  # events that the tokenizer alone is measured with

# A query and its products.
List = tuple[str, list[str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be in a topic: `events` lists of `candidates` products of the workload, in turn."""

    name: str
    workload: Workload
    events: int
    candidates: int

    def lists(self) -> list[List]:
        """Return the lists as they are in the events, as long as the texts last."""
        pairs, size = self.workload.pairs, self.candidates
        return [(pairs[at][0], [text for _, text in pairs[at : at + size]]) for at in range(0, len(pairs), size)]


@dataclass(frozen=True, slots=True)
class Scenario:
    """Events in a topic, and the lists that are tokenized before the worker starts."""

    plan: Plan
    kafka: KafkaOptions
    published: Published
    known: list[List]


def plan(name: str, events: EventOptions, options: HostOptions) -> Plan:
    """Return what the runs named `cold` or `warm` are made of; cold ones are shorter where a file has no more texts.

    Raises StopError(Exit.USAGE) for a file that cannot be used, or has too few texts for a cold run.
    """
    size = options.candidates
    count = max(2, int(options.seconds * _RATES[name]) // size)
    texts = count * size if name == "cold" else min(count * size, _WARM_TEXTS)
    least = Least(min(count, _LEAST_EVENTS) * size, f"runs over lists of {size} that no cache has seen")
    workload = load_workload(options.input, events, pairs=texts, mean_tokens=options.mean_tokens, least=least)
    if name == "cold":
        # Whole lists only: from the first text again, they would be in the cache.
        count = min(count, len(workload.pairs) // size)
    return Plan(name, workload, count, size)


def fill(planned: Plan, kafka: KafkaOptions) -> Scenario:
    """Publish the events. Raises StopError."""
    published = publish_all(kafka, planned.workload.events(planned.events, planned.candidates))
    return Scenario(planned, kafka, published, planned.lists() if planned.name == "warm" else [])


def sample(scenario: Scenario) -> list[List]:
    """Return the lists that the tokenizer alone is measured with."""
    return scenario.plan.lists()[:_SAMPLE_LISTS]
