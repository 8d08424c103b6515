"""Decides where a model runs and in which numbers, and says why."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from worker.exits import Exit, StopError
from worker.model.options import DEVICE

if TYPE_CHECKING:
    from worker.model.options import Dtype

# Processors that multiply bfloat16 in hardware: Intel and AMD, then ARM's name for it.
_BF16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
_MATRIX_UNIT_FLAG = "amx_tile"
# How many times as fast as float32 bfloat16 must be to be taken by itself.
WORTHWHILE = 1.3
_RUNS = 6
_AMPERE = (8, 0)


class Placement(NamedTuple):
    """A device ("cpu", "cuda:0"), the name of a torch dtype, and why it was taken."""

    device: str
    dtype: str
    reason: str


def place(device: str, dtype: Dtype) -> Placement:
    """Resolve `auto`; raises StopError for a device that this machine does not have."""
    where = find_device(device)
    if dtype != "auto":
        return Placement(where, dtype, "as set")
    if where == "cpu":
        return Placement(where, *_cpu_dtype(cpu_flags()))
    return Placement(where, *_cuda_dtype(where))


def find_device(device: str) -> str:
    """Return "cpu" or "cuda:N"; raises StopError for a device that this machine does not have."""
    import torch

    if not DEVICE.fullmatch(device):
        raise StopError(Exit.USAGE, f"device: expected auto, cpu, cuda or cuda:N, got {device!r}.")
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return "cpu"
    index = int(device.partition(":")[2] or 0)
    count = torch.cuda.device_count()
    if index >= count:
        raise StopError(Exit.MODEL, f"device {device!r}: this process sees {count} CUDA devices. Try device auto.")
    return f"cuda:{index}"


def _cpu_dtype(flags: frozenset[str]) -> tuple[str, str]:
    if not any(flag in flags for flag in _BF16_FLAGS):
        return "float32", "the processor has no bfloat16"
    # A flag is no promise: without AMX, bfloat16 was measured at 0.6 times the speed of float32. What lies between the
    # two cases is far from the threshold, so replicas on like processors decide alike.
    gain = bfloat16_gain()
    if gain >= WORTHWHILE:
        return "bfloat16", f"bfloat16 is {gain:.1f} times as fast as float32 here"
    return "float32", f"the processor has bfloat16, but at {gain:.1f} times the speed of float32"


def has_matrix_unit() -> bool:
    """Return whether the processor multiplies whole matrices of bfloat16 (Intel's AMX)."""
    return _MATRIX_UNIT_FLAG in cpu_flags()


def bfloat16_gain() -> float:
    """Return how many times faster a linear layer of MiniLM's size is in bfloat16, by the best of a few runs each."""
    import torch

    seconds = {}
    with torch.inference_mode():
        for dtype in (torch.float32, torch.bfloat16):
            inputs, weight = torch.ones(1024, 384, dtype=dtype), torch.ones(1536, 384, dtype=dtype)
            runs = []
            for _ in range(_RUNS):
                begun = time.perf_counter()
                torch.nn.functional.linear(inputs, weight)
                runs.append(time.perf_counter() - begun)
            seconds[dtype] = min(runs)
    return seconds[torch.float32] / seconds[torch.bfloat16]


def _cuda_dtype(device: str) -> tuple[str, str]:
    import torch

    capability = torch.cuda.get_device_capability(device)
    name = torch.cuda.get_device_name(device)
    if capability >= _AMPERE:
        return "bfloat16", f"{name} has bfloat16"
    # float16 is fast on older cards, but overflows in some models: only where it is asked for.
    return "float32", f"{name} has no bfloat16"


def open_cuda(device: str, *, tf32: bool) -> None:
    """Make a GPU the one of this thread, so that nothing is left on another, and say how it multiplies float32."""
    import torch

    torch.cuda.set_device(device)
    torch.set_float32_matmul_precision("high" if tf32 else "highest")


def describe(device: str) -> dict[str, str]:
    """Return what a report should say about a device: the name of a GPU."""
    import torch

    return {"gpu": torch.cuda.get_device_name(device)} if device.startswith("cuda") else {}


def cpu_flags(cpuinfo: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """Return the processor's feature flags by Linux's names; none where they cannot be read."""
    try:
        text = cpuinfo.read_text("utf-8")
    except OSError:
        return frozenset()
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return frozenset(found.group(1).split()) if found else frozenset()
