"""What is known of a run once it is over: what went in, what came out, what was committed and who owned what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Delivery = Literal["at-least-once", "exactly-once"]
Kind = Literal["result", "dead letter"]


class Place(NamedTuple):
    """A record of the request topic."""

    partition: int
    offset: int


class Input(NamedTuple):
    """A request, when the broker appended it (milliseconds of its clock, as all times here), and how it must end."""

    place: Place
    key: bytes | None
    at_ms: int
    ends_as: Kind = "result"


class Outcome(NamedTuple):
    """A result or a dead letter that a reader of committed records has seen.

    `queue` is the partition of its topic, `at` its offset there, `topic_age` how often the topic was made anew before.
    `content` is all of it that two duplicates must share.
    """

    kind: Kind
    source: Place
    key: bytes | None
    at_ms: int
    content: str
    queue: int = 0
    at: int = 0
    topic_age: int = 0


class Commit(NamedTuple):
    """An offset that the group has accepted, and the member that asked for it."""

    partition: int
    offset: int
    at_ms: int
    member: str


class Generation(NamedTuple):
    """A generation of the group: the owner of each partition that has one, and all members."""

    number: int
    owners: Mapping[int, str]
    members: frozenset[str]


class Step(NamedTuple):
    """What a worker process noted: partitions came, it has given them up, or it is about to commit them."""

    process: str
    what: Literal["assigned", "given up", "commit"]
    partitions: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class History:
    """A run. `group` is in the order of the group's log, `steps` in the order of each process.

    `lifted_ms` is when the fault was over, `bound_s` within which time the worker must be back at work.
    """

    delivery: Delivery
    inputs: Sequence[Input]
    outcomes: Sequence[Outcome]
    group: Sequence[Commit | Generation] = ()
    steps: Sequence[Step] = field(default=())
    lifted_ms: int = 0
    bound_s: float = 60.0
