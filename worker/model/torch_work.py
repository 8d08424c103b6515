"""A batch on its way through torch: what cannot be tried again on CUDA, and what a failure leaves behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from worker.model.halving import HalvingWork

if TYPE_CHECKING:
    import numpy as np

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


class TorchWork(HalvingWork[torch.Tensor]):
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


def is_sticky(error: Exception) -> bool:
    """Return whether a CUDA error leaves the process without a usable device, so that no retry can help."""
    return not isinstance(error, torch.OutOfMemoryError) and any(sign in str(error) for sign in _STICKY)
