"""The invariants, asked of a history: plain functions that return each violation as a line, and none where all is well.

How each of them can fail, and what it is asked of:

- I2 is asked of every offset that the group accepted, as its own log (`__consumer_offsets`) has them, not of samples:
  each input before a committed offset must have an outcome that the broker had appended by then. A worker that commits
  what it has received, or what it has sent without an answer, has commits that are older than their outcomes.
- I6 is asked twice. The group's log has the assignments of each generation between the commits, and each commit bears
  the name of the member that made it (tests/faults/journal.py sees to that): none may follow the generation that gave
  its partition to another member. The broker does not check that itself, it looks at the generation alone. And each
  process notes what it gave up and what it is about to commit, so that an attempt counts as well that was refused; at
  least once only, since a transaction may still end while its member keeps its place in the group (docs/delivery.md).
"""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from tests.faults.history import Commit, Generation, Place

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Iterator

    from tests.faults.history import Delivery, History, Kind, Outcome

INVARIANTS = {
    "I1": "every input ends as a result or a dead letter",
    "I2": "no committed offset lies beyond the contiguous prefix of what is done",
    "I3": "exactly-once: each input ends once",
    "I4": "at-least-once: duplicates are equal",
    "I5": "results of a key keep the order of its requests",
    "I6": "nothing is committed for a partition after its revocation",
    "I7": "the worker is back at work within the bound",
}
_ONLY: dict[str, Delivery] = {"I3": "exactly-once", "I4": "at-least-once"}


class Findings(NamedTuple):
    """The violations of each invariant that was asked for, and how long the worker took to be back at work.

    `excused` are invariants that the brokers have broken themselves, by their own logs.
    """

    violations: dict[str, list[str]]
    recovery_s: float
    excused: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether there is none."""
        return not any(self.violations.values())

    def excusing(self, invariant: str) -> Findings:
        """Return the same without the violations of an invariant, which is excused."""
        return self._replace(violations={**self.violations, invariant: []}, excused=(*self.excused, invariant))


def applies(invariant: str, delivery: Delivery) -> bool:
    """Return whether an invariant is promised by a delivery."""
    return _ONLY.get(invariant, delivery) == delivery


def check(history: History) -> Findings:
    """Ask a history for every invariant that its delivery promises."""
    recovery_s = _recovery_s(history)
    asked: dict[str, Callable[[History], Iterable[str]]] = {
        "I1": _ends,
        "I2": _commits_behind_outcomes,
        "I3": _ends_once,
        "I4": _equal_duplicates,
        "I5": _order,
        "I6": _commits_of_owners,
        "I7": lambda _: _late(recovery_s, history.bound_s),
    }
    violations = {name: list(ask(history)) for name, ask in asked.items() if applies(name, history.delivery)}
    return Findings(violations, recovery_s)


def _ends(history: History) -> Iterator[str]:
    ended: dict[Place, set[Kind]] = defaultdict(set)
    for outcome in history.outcomes:
        ended[outcome.source].add(outcome.kind)
    for each in history.inputs:
        found = ended.pop(each.place, set())
        if found != {each.ends_as}:
            yield f"{_name(each.place)} ended as {' and '.join(sorted(found)) or 'nothing'}, expected a {each.ends_as}"
    for place in ended:
        yield f"{_name(place)} has an outcome and was never sent"


def _commits_behind_outcomes(history: History) -> Iterator[str]:
    first_ms: dict[Place, float] = {}
    for outcome in history.outcomes:
        first_ms[outcome.source] = min(outcome.at_ms, first_ms.get(outcome.source, math.inf))
    offsets: dict[int, list[int]] = defaultdict(list)
    for each in history.inputs:
        offsets[each.place.partition].append(each.place.offset)
    done_ms: dict[int, list[float]] = {}  # of each input, when it and all before it were done
    for partition, found in offsets.items():
        found.sort()
        done_ms[partition] = list(accumulate((first_ms.get(Place(partition, at), math.inf) for at in found), max))
    for commit in history.group:
        if isinstance(commit, Commit):
            before = bisect.bisect_left(offsets[commit.partition], commit.offset)
            if before and done_ms[commit.partition][before - 1] > commit.at_ms:
                done = bisect.bisect_right(done_ms[commit.partition], commit.at_ms)
                lacking = Place(commit.partition, offsets[commit.partition][done])
                yield f"{_name(Place(commit.partition, commit.offset))} was committed before {_name(lacking)} was done"


def _ends_once(history: History) -> Iterator[str]:
    for place, outcomes in _by_source(history).items():
        if len(outcomes) > 1:
            kinds = ", ".join(f"{each.kind} at {each.queue}:{each.at}" for each in outcomes)
            yield f"{_name(place)} has {len(outcomes)} outcomes: {kinds}"


def _equal_duplicates(history: History) -> Iterator[str]:
    for place, outcomes in _by_source(history).items():
        first = outcomes[0]
        for other in outcomes[1:]:
            if (other.kind, other.key, other.content) != (first.kind, first.key, first.content):
                yield (
                    f"{_name(place)} has unequal duplicates: {first.kind} {first.key!r} {first.content}, "
                    f"{other.kind} {other.key!r} {other.content}"
                )


def _order(history: History) -> Iterator[str]:
    """Look at when each input ended first: a duplicate comes again where its first has been."""
    last: dict[Hashable, Place] = {}
    seen: set[tuple[Hashable, Place]] = set()
    for outcome in sorted(history.outcomes, key=lambda each: (each.topic_age, each.kind, each.queue, each.at)):
        line = _line(outcome, history.delivery)
        if line is None or (line, outcome.source) in seen:
            continue
        seen.add((line, outcome.source))
        if line in last and outcome.source < last[line]:
            yield f"{outcome.kind} of {_name(outcome.source)} came behind that of {_name(last[line])}"
        last[line] = max(outcome.source, last.get(line, outcome.source))


def _line(outcome: Outcome, delivery: Delivery) -> Hashable | None:
    """Return what the outcome is in one line with: its key, or with exactly-once all of its partition."""
    where = (outcome.kind, outcome.topic_age, outcome.queue, outcome.source.partition)
    if delivery == "exactly-once":
        return where
    return None if outcome.key is None else (*where, outcome.key)


def _commits_of_owners(history: History) -> Iterator[str]:
    generation: Generation | None = None
    for each in history.group:
        if isinstance(each, Generation):
            generation = each
        elif generation is not None:
            owner = generation.owners.get(each.partition)
            if owner not in (None, each.member) or each.member not in generation.members:
                yield (
                    f"{_name(Place(each.partition, each.offset))} was committed by {each.member} in generation "
                    f"{generation.number}, which gave it to {owner}"
                )
    if history.delivery == "at-least-once":
        yield from _attempts_of_owners(history)


def _attempts_of_owners(history: History) -> Iterator[str]:
    owned: dict[str, set[int]] = defaultdict(set)
    for step in history.steps:
        mine = owned[step.process]
        if step.what == "assigned":
            mine.update(step.partitions)
        elif step.what == "given up":
            mine.difference_update(step.partitions)
        elif foreign := set(step.partitions) - mine:
            yield f"{step.process} tried to commit partitions {sorted(foreign)}, which it did not own"


def _recovery_s(history: History) -> float:
    """Return how long after the fault the first input that came after it had an outcome."""
    after = {each.place for each in history.inputs if each.at_ms >= history.lifted_ms}
    ends_ms = [outcome.at_ms for outcome in history.outcomes if outcome.source in after]
    return (min(ends_ms) - history.lifted_ms) / 1000 if ends_ms else math.inf


def _late(recovery_s: float, bound_s: float) -> Iterator[str]:
    if recovery_s > bound_s:
        took = "never" if recovery_s == math.inf else f"{recovery_s:.1f} s after the fault"
        yield f"back at work {took}, the bound is {bound_s:g} s"


def _by_source(history: History) -> dict[Place, list[Outcome]]:
    found: dict[Place, list[Outcome]] = defaultdict(list)
    for outcome in history.outcomes:
        found[outcome.source].append(outcome)
    return found


def _name(place: Place) -> str:
    return f"request {place.partition}:{place.offset}"
