"""A batch on its way through a GPU: all of it is in the device's queue from the start, its logits' way back too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from worker.model.torch.pass_threads import PassThreads
from worker.model.torch.work import TorchBatch, begin_on_cpu

if TYPE_CHECKING:
    from worker.model.backend import BatchResult
    from worker.model.retry_halves import ForwardPasses
    from worker.model.rows import RaggedBatch


class CudaBatch(TorchBatch):
    """A batch that another may follow before it is finished: waiting for it is not waiting for what came after it."""

    def __init__(self, backend: ForwardPasses[torch.Tensor], rows: RaggedBatch, device: torch.device) -> None:
        super().__init__(backend, rows)
        self._device = device
        with torch.cuda.device(device):  # events, pinned memory and kernels are those of the thread's current device
            self._began, self._ended = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            self._began.record()
            self.run()
            self.done = [(chosen, _send_back(logits)) for chosen, logits in self.done]
            self._ended.record()

    def is_done(self) -> bool:
        """Return whether the device has come to the end of its queue for this batch."""
        return bool(self._ended.query())  # type: ignore[no-untyped-call]

    def finish(self) -> BatchResult:
        """Return the logits once the device has sent them back, and how long it was at it."""
        self._ended.synchronize()
        with torch.cuda.device(self._device):  # something may have to be scored once more
            scored = super().finish()
        scored.device_s = self._began.elapsed_time(self._ended) / 1000
        return scored


def begin(
    backend: ForwardPasses[torch.Tensor], rows: RaggedBatch, device: torch.device, threads: PassThreads | None = None
) -> TorchBatch:
    """Begin a batch: on CUDA the device's queue holds all of it on return, on the CPU finish() computes it."""
    return (
        begin_on_cpu(backend, rows, threads or PassThreads(1))
        if device.type == "cpu"
        else CudaBatch(backend, rows, device)
    )


def send(values: torch.Tensor, device: torch.device) -> torch.Tensor:
    """Return the values on the device, from pinned memory, so that the host does not wait for the copy.

    Memory that is pinned for a copy is used again by torch only after that copy.
    """
    if device.type == "cpu":
        return values
    return (values if values.is_pinned() else values.pin_memory()).to(device, non_blocking=True)


def staging(numbers: int, device: torch.device) -> torch.Tensor:
    """Return room for so many int32 on the host, from where they can be sent to the device."""
    return torch.empty(numbers, dtype=torch.int32, pin_memory=device.type != "cpu")


def _send_back(logits: torch.Tensor) -> torch.Tensor:
    """Return memory of the host that holds the logits when the device has come so far in its queue."""
    pinned = torch.empty(logits.shape, dtype=logits.dtype, pin_memory=True)
    return pinned.copy_(logits, non_blocking=True)
