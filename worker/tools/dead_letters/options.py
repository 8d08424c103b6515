"""Options of the commands for dead letters, which only the command line sets."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt
from typing_extensions import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceOptions:
    """Options that narrow down the dead letters, by where and when they were written to the dead-letter topic."""

    reason: Annotated[tuple[str, ...], Doc("Only these reasons, separated by commas.")] = ()
    since: Annotated[
        str | None,
        Doc(
            "Only those written since: an ISO 8601 time, UTC where it names no zone, or how long ago: 90s, 30m, 2h, 7d."
        ),
    ] = None
    until: Annotated[str | None, Doc("Only those written before, in the same form.")] = None
    offsets: Annotated[
        str | None, Doc("Only these offsets of the dead-letter topic: A-B, both included; A- or -B for one bound.")
    ] = None
    partition: Annotated[int | None, Ge(0), Doc("Only this partition of the dead-letter topic.")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ListOptions(ChoiceOptions):
    """Which dead letters are listed, and how."""

    show: Annotated[str | None, Doc("Show one as a whole: PARTITION:OFFSET in the dead-letter topic.")] = None
    count: Annotated[bool, Doc("Only count them, by reason.")] = False
    rows: Annotated[int, Gt(0), Doc("Rows of the table: the last ones.")] = 100
    format: Annotated[
        Literal["table", "json"] | None,
        Doc("How they are shown; a table on a terminal, else JSON lines, if not given."),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayOptions(ChoiceOptions):
    """Which dead letters are sent back, where to, and how fast."""

    to: Annotated[str | None, Doc("Send them all to this topic, not to the one that each came from.")] = None
    dry_run: Annotated[bool, Doc("Only show what would be sent back and what not, and why.")] = False
    from_beginning: Annotated[bool, Doc("Begin at the oldest dead letter, not where the last replay came to.")] = False
    max_replays: Annotated[int, Ge(1), Doc("Replays of one event, after which it is passed over.")] = 3
    rate: Annotated[float | None, Gt(0), Doc("Events a second; as fast as it goes if not given.")] = None
    rows: Annotated[int, Gt(0), Doc("Rows of the table of a dry run: the last ones.")] = 100
