"""The threads that run the forward passes of a batch side by side on the CPU."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import torch

from worker.flow.thread_name import show_name

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    import numpy as np

    from worker.model.rows import RaggedBatch

Logits = TypeVar("Logits")

# With fewer tokens for each thread, all threads on one pass are faster. Measured with a MiniLM-L6 on two cores.
_LEAST_TOKENS = 256


class PassThreads:
    """So many threads of the CPU for the forward passes of one model.

    The threads of one pass meet after each operator, so the pass is as slow as the slowest of them, and whatever else
    runs on one core holds up all. Passes side by side, each on one thread, meet at the end of the batch only. Measured
    in docs/performance.md, "Side by side".
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._executor: ThreadPoolExecutor | None = None
        if threads > 1:
            self._executor = ThreadPoolExecutor(threads, thread_name_prefix="pass")
            together = threading.Barrier(threads + 1)
            for _ in range(threads):
                self._executor.submit(_work_alone, together)
            together.wait()
            # What a thread sets for itself is also what threads begin with that torch has not seen yet.
            torch.set_num_threads(threads)

    def stop(self) -> None:
        """Let the threads end: all passes are computed one after the other from now on."""
        if self._executor is not None:
            self._executor.shutdown()
            self._executor = None

    def at_once(self, tokens: int) -> int:
        """Return how many passes of a batch of so many tokens are computed at a time."""
        return self.threads if self._executor is not None and tokens >= _LEAST_TOKENS * self.threads else 1

    def pass_tokens(self, tokens: int, most: int) -> int:
        """Return how many tokens each pass of a batch takes, at most `most`, so that all threads have as many."""
        at_once = self.at_once(tokens)
        rounds = -(-tokens // (most * at_once))
        return most if at_once == 1 else -(-tokens // (rounds * at_once))

    def submit(self, forward: Callable[..., Logits], rows: RaggedBatch, chosen: np.ndarray) -> Future[Logits]:
        """Begin a forward pass of the chosen rows."""
        if self._executor is None:
            raise ValueError("expected more than one thread, got one, which has no passes side by side")
        return self._executor.submit(forward, rows, chosen)


def _work_alone(together: threading.Barrier) -> None:
    show_name("score-pass")
    torch.get_num_threads()  # the first call on a thread sets what all begin with, and would do so after the next line
    torch.set_num_threads(1)
    together.wait()
