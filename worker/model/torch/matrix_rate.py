"""How fast a device multiplies large matrices, which no model can be faster than."""

from __future__ import annotations

import time

_RUNS, _IN_A_RUN = 5, 10
_CPU_SIZE, _CUDA_SIZE = 1_024, 8_192


def matrix_rate(device: str, dtype: str) -> float:
    """Return the floating-point operations a second of products of square matrices, by the best of a few runs."""
    import torch

    size = _CPU_SIZE if device == "cpu" else _CUDA_SIZE
    left, right = (torch.randn(size, size, device=device).to(getattr(torch, dtype)) for _ in range(2))
    found = torch.empty_like(left)
    seconds = []
    for _ in range(_RUNS + 1):
        began_s = time.perf_counter()
        for _ in range(_IN_A_RUN):
            torch.mm(left, right, out=found)
        float(found[0, 0])  # waits for the device
        seconds.append((time.perf_counter() - began_s) / _IN_A_RUN)
    return 2 * size**3 / min(seconds[1:])
