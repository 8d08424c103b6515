"""What a backend is: rows in, logits out, and what may go wrong with a row."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from worker.model.loading.device import Placement
    from worker.model.rows import RaggedBatch
    from worker.scheduling.cost_model import Load


class NonFiniteLogitError(Exception):
    """The model gave a pair NaN or infinity, which is never published as a score."""


@dataclass(slots=True)
class BatchResult:
    """The logits of n rows, float32 (n,): NaN where a row could not be scored, and `failures` says why.

    `tokens` are those of the rows, `padding` those that were computed beside them. `device_s` is how long the device
    was at it by its own clock, where it has one.
    """

    logits: np.ndarray
    tokens: int
    padding: int = 0
    device_s: float | None = None
    failures: dict[int, Exception] = field(default_factory=dict)

    def refuse_non_finite(self) -> None:
        """Turn every infinite logit into NaN and record a failure for each NaN that has none."""
        for row in np.flatnonzero(~np.isfinite(self.logits)).tolist():
            found = float(self.logits[row])
            self.logits[row] = np.nan
            self.failures.setdefault(row, NonFiniteLogitError(f"expected a finite logit, the model gave {found}"))


class PendingBatch(Protocol):
    """A batch that a backend has begun."""

    def is_done(self) -> bool:
        """Return whether finish() would return at once; always false of one that works in finish()."""

    def wait_for_room(self) -> bool:
        """Wait until another batch would begin at once beside the rest of this one; false where none would.

        True as well where this one is done. Of a device with a queue: false, since another may be launched at any time.
        """

    def finish(self) -> BatchResult:
        """Wait for the logits; called once. Raises only what ends the process, such as a broken CUDA context."""


class Backend(Protocol):
    """Scores rows on one device. One thread calls it.

    `name` is a word for reports, such as "torch"; `threads` are those of a forward pass on the CPU.
    """

    name: str
    threads: int | None

    def load_of(self, lengths: np.ndarray) -> Load:
        """Return what it would compute of rows of these lengths, int64 (n,), in one batch."""

    def start(self, rows: RaggedBatch) -> PendingBatch:
        """Begin a batch. A backend with a queue returns before the device is done; others may work in finish()."""


class Loaded(NamedTuple):
    """A model on its backend, where and in which numbers it runs, and how many tokens a pair may have."""

    backend: Backend
    placement: Placement
    positions: int
