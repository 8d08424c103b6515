"""The one limit on what is in flight: tokens, charged when a record comes in, released when it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt
from typing_extensions import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorLimits:
    """How much may be inside the worker at once."""

    max_in_flight_tokens: Annotated[
        int,
        Gt(0),
        Doc("Tokens of all events inside the worker; past it the partitions are paused, below half of it resumed."),
    ] = 262_144
    max_poll_records: Annotated[
        int, Gt(0), Doc("Records that one poll may return; the limit can be passed by these.")
    ] = 64


class Door:
    """Counts tokens in flight. A record's tokens are not known when it comes, so its bytes are charged for them.

    The ratio of tokens to bytes is learnt from the events that have ended. A record never costs nothing: a thousand
    tombstones are a thousand objects in memory.
    """

    MIN_CHARGE = 16
    _LEARNING_RATE = 0.02

    def __init__(self, limits: DoorLimits) -> None:
        self._limit = limits.max_in_flight_tokens
        self._tokens_per_byte = 0.25  # English product text in JSON
        self.in_flight_tokens = 0
        self.paused = False

    def admit(self, size_bytes: int) -> int:
        """Let a record of this size in; return its charge, to be given back by `release`."""
        charge = max(self.MIN_CHARGE, round(size_bytes * self._tokens_per_byte))
        self.in_flight_tokens += charge
        return charge

    def release(self, charge: int, size_bytes: int, tokens: int) -> None:
        """Let an event out; `tokens` is what it really had, 0 where that was never known."""
        self.in_flight_tokens -= charge
        if tokens and size_bytes:
            self._tokens_per_byte += self._LEARNING_RATE * (tokens / size_bytes - self._tokens_per_byte)

    def is_paused(self) -> bool:
        """Decide whether the partitions are to be paused: from the limit on, until half of it is free again."""
        threshold = self._limit // 2 if self.paused else self._limit
        self.paused = self.in_flight_tokens >= threshold
        return self.paused
