"""A batch on its way through torch: what cannot be tried again on CUDA, and what a failure leaves behind."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, wait
from typing import TYPE_CHECKING

import torch

from worker.model.retry_halves import RetryHalves

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import numpy as np

    from worker.model.retry_halves import ForwardPasses
    from worker.model.rows import RaggedBatch
    from worker.model.torch.pass_threads import PassThreads

# After these every call in the process fails: the context is gone, and only a new process helps.
_STICKY = (
    "device-side assert",
    "illegal memory access",
    "illegal instruction",
    "invalid program counter",
    "hardware stack error",
    "misaligned address",
    "launch timed out",
    "unspecified launch failure",
    "ECC error",
    "NVLink error",
)


class TorchBatch(RetryHalves[torch.Tensor]):
    """A batch on its way through a backend that computes with torch, on the CPU in finish()."""

    def to_host(self, logits: torch.Tensor) -> np.ndarray:
        """Return the logits; those of a batch that is not waited for are on the host by now."""
        found: np.ndarray = logits.cpu().numpy()
        return found

    def is_final(self, error: Exception) -> bool:
        """Return whether the device is lost."""
        return is_sticky(error)

    def clean_up(self, error: Exception) -> None:
        """Give what did not fit back to the device."""
        if isinstance(error, torch.OutOfMemoryError):
            torch.cuda.empty_cache()


class SideBySideBatch(TorchBatch):
    """A batch whose passes run side by side on threads of the CPU; what fails is tried again on the caller's."""

    def __init__(self, backend: ForwardPasses[torch.Tensor], rows: RaggedBatch, threads: PassThreads) -> None:
        super().__init__(backend, rows)
        self._threads = threads.threads
        self._begun = [(chosen, threads.submit(backend.forward, rows, chosen)) for chosen in backend.groups(rows)]

    def is_done(self) -> bool:
        """Return whether all passes have ended."""
        return all(future.done() for _, future in self._begun)

    def wait_for_room(self) -> bool:
        """Wait until a thread has no pass of this batch to compute any more."""
        running = {future for _, future in self._begun}
        while len(running) >= self._threads:
            running = wait(running, return_when=FIRST_COMPLETED).not_done
        return True

    def begin(self) -> Iterator[tuple[np.ndarray, Callable[[], torch.Tensor]]]:
        """Yield the passes that run already."""
        return ((chosen, future.result) for chosen, future in self._begun)


def begin_on_cpu(backend: ForwardPasses[torch.Tensor], rows: RaggedBatch, threads: PassThreads) -> TorchBatch:
    """Begin a batch, which finish() computes: side by side where there are threads and it is large enough."""
    if threads.at_once(rows.tokens) == 1:
        return TorchBatch(backend, rows)
    return SideBySideBatch(backend, rows, threads)


def is_sticky(error: Exception) -> bool:
    """Return whether a CUDA error leaves the process without a usable device, so that no retry can help."""
    return not isinstance(error, torch.OutOfMemoryError) and any(sign in str(error) for sign in _STICKY)
