"""A batch on its way through a backend: what fails is halved and tried again, down to the pair at fault."""

from __future__ import annotations

import functools
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

import numpy as np

from worker.model.backend import BatchResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from worker.model.rows import RaggedBatch

log = logging.getLogger(__name__)

Logits = TypeVar("Logits")
Logits_co = TypeVar("Logits_co", covariant=True)


class ForwardPasses(Protocol[Logits_co]):
    """How a backend scores rows: in forward passes of some of them."""

    def groups(self, rows: RaggedBatch) -> Iterator[np.ndarray]:
        """Yield the row numbers of each forward pass."""

    def forward(self, rows: RaggedBatch, chosen: np.ndarray) -> Logits_co:
        """Return the logits of the chosen rows, float32 (rows,), on the device."""

    def computed(self, rows: RaggedBatch, chosen: np.ndarray) -> int:
        """Return how many tokens a forward pass of the chosen rows computes, padding included."""


@dataclass(slots=True)
class RetryHalves(Generic[Logits]):
    """A batch on its way through a backend, whose device gives its logits as arrays of some kind."""

    backend: ForwardPasses[Logits]
    rows: RaggedBatch
    done: list[tuple[np.ndarray, Logits]] = field(default_factory=list)
    failures: dict[int, Exception] = field(default_factory=dict)
    computed: int = 0
    ran: bool = False

    def to_host(self, logits: Logits) -> np.ndarray:
        """Return logits as float32 (rows,), waiting for the device."""
        return np.asarray(logits)

    def is_final(self, error: Exception) -> bool:
        """Return whether no retry can help, so that the error is to be raised."""
        del error
        return False

    def clean_up(self, error: Exception) -> None:
        """Make room for the next try."""

    def is_done(self) -> bool:
        """Return whether the device has come to the end of what was given to it; false before that."""
        return False

    def wait_for_room(self) -> bool:
        """Return that no other batch would begin beside this one."""
        return False

    def run(self) -> None:
        """Give every group to the device."""
        self.ran = True
        for chosen, logits in self.begin():
            self._attempt(chosen, logits)

    def begin(self) -> Iterator[tuple[np.ndarray, Callable[[], Logits]]]:
        """Yield each group with what returns its logits, or raises why there are none."""
        for chosen in self.backend.groups(self.rows):
            yield chosen, self._forward(chosen)

    def finish(self) -> BatchResult:
        """Return the logits; NaN and a failure for each row that could not be scored even alone."""
        if not self.ran:
            self.run()
        scored = BatchResult(
            logits=np.full(len(self.rows), np.nan, np.float32),
            tokens=self.rows.tokens,
            padding=self.computed - int(self.rows.lengths[self._scored_rows()].sum()),
            failures=self.failures,
        )
        for chosen, logits in self.done:
            scored.logits[chosen] = self.to_host(logits)
        self._ask_alone(scored)
        scored.refuse_non_finite()
        return scored

    def _ask_alone(self, scored: BatchResult) -> None:
        """Score each row that came out as no number once more, by itself: it may be its neighbour that has none."""
        if np.isfinite(scored.logits).all():
            return
        begun = len(self.done)
        shared = [chosen for chosen, _ in self.done if len(chosen) > 1]
        for row in [row for chosen in shared for row in chosen[~np.isfinite(scored.logits[chosen])].tolist()]:
            self._attempt(np.array([row]), self._forward(np.array([row])))
        for chosen, logits in self.done[begun:]:
            scored.logits[chosen] = self.to_host(logits)

    def _scored_rows(self) -> np.ndarray:
        return np.concatenate([chosen for chosen, _ in self.done]) if self.done else np.zeros(0, np.int64)

    def _forward(self, chosen: np.ndarray) -> Callable[[], Logits]:
        return functools.partial(self.backend.forward, self.rows, chosen)

    def _attempt(self, chosen: np.ndarray, forward: Callable[[], Logits]) -> None:
        """Score the rows; after an error halve them and try again, down to the one row that is at fault."""
        try:
            logits = forward()
        except Exception as error:
            if self.is_final(error):
                raise
            failure = error
        else:
            self.done.append((chosen, logits))
            self.computed += self.backend.computed(self.rows, chosen)
            return
        # Outside the except block: the error's traceback holds the tensors that did not fit.
        failure = failure.with_traceback(None)
        self.clean_up(failure)
        if len(chosen) == 1:
            facts = {"tokens": int(self.rows.lengths[chosen[0]]), "error": failure}
            log.warning(
                "a pair of %(tokens)d tokens cannot be scored: %(error)r", facts, extra={"event": "pair_failed"}
            )
            self.failures[int(chosen[0])] = failure
            return
        facts = {"pairs": len(chosen), "error": failure}
        log.warning(
            "a forward pass of %(pairs)d pairs failed, trying its halves: %(error)r",
            facts,
            extra={"event": "pass_failed"},
        )
        middle = len(chosen) // 2
        for half in (chosen[:middle], chosen[middle:]):
            self._attempt(half, self._forward(half))
