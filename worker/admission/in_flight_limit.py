"""The limits on what is in flight: tokens and bytes, reserved when a record comes in, released when it has ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Gt
from typing_extensions import Doc


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlightOptions:
    """How much may be inside the worker at once."""

    max_in_flight_tokens: Annotated[
        int,
        Gt(0),
        Doc("Tokens of all events inside the worker; past it the partitions are paused, below half of it resumed."),
    ] = 262_144
    max_in_flight_bytes: Annotated[
        int,
        Gt(0),
        Doc("Bytes of all records inside the worker, keys and headers included; they pause and resume as tokens do."),
    ] = 128 * 1024 * 1024
    max_poll_records: Annotated[
        int, Gt(0), Doc("Records that one poll may return; the limits can be passed by these.")
    ] = 64


class InFlightLimit:
    """Counts tokens and bytes in flight: tokens are what the model has to do, bytes what the memory has to hold.

    A record's tokens are not known when it comes, so its bytes are counted for them. The ratio is learnt from the
    events that have ended; it sinks if most of an event is metadata, and then the bytes reach their limit first. A
    record never costs nothing: a thousand tombstones are a thousand objects in memory.
    """

    MIN_TOKENS = 16
    _LEARNING_RATE = 0.02

    def __init__(self, limits: InFlightOptions) -> None:
        self.limits = limits
        self._tokens_per_byte = 0.25  # English product text in JSON
        self.in_flight_tokens = 0
        self.in_flight_bytes = 0
        self.paused = False

    def reserve(self, size_bytes: int) -> int:
        """Let a record of this size in; return the tokens reserved for it, to be given back by `release`."""
        reserved_tokens = max(self.MIN_TOKENS, round(size_bytes * self._tokens_per_byte))
        self.in_flight_tokens += reserved_tokens
        self.in_flight_bytes += size_bytes
        return reserved_tokens

    def release(self, reserved_tokens: int, size_bytes: int, tokens: int) -> None:
        """Let an event out; `tokens` is what it really had, 0 where that was never known."""
        self.in_flight_tokens -= reserved_tokens
        self.in_flight_bytes -= size_bytes
        if tokens and size_bytes:
            self._tokens_per_byte += self._LEARNING_RATE * (tokens / size_bytes - self._tokens_per_byte)

    def is_paused(self) -> bool:
        """Decide whether the partitions are to be paused: from either limit on, until half of both is free again."""
        halves = 2 if self.paused else 1
        self.paused = (
            self.in_flight_tokens * halves >= self.limits.max_in_flight_tokens
            or self.in_flight_bytes * halves >= self.limits.max_in_flight_bytes
        )
        return self.paused
