"""What NVIDIA's driver says of a GPU, through nvidia-ml-py where that is installed."""

from __future__ import annotations

import importlib.util
import logging
from typing import Any, Protocol

log = logging.getLogger(__name__)


class Gpu(Protocol):
    """A GPU as its driver sees it, whatever uses it."""

    def utilization(self) -> float:
        """Return the share of the last moments in which a kernel ran, 0 to 1; NaN where the driver does not say."""

    def memory_used(self) -> float:
        """Return the bytes in use; NaN where the driver does not say."""

    def memory_total(self) -> float:
        """Return the bytes that there are; NaN where the driver does not say."""


class _Gpu:
    def __init__(self, nvml: Any, handle: Any) -> None:
        self._nvml = nvml
        self._handle = handle

    def utilization(self) -> float:
        return self._ask("nvmlDeviceGetUtilizationRates", "gpu") / 100

    def memory_used(self) -> float:
        return self._ask("nvmlDeviceGetMemoryInfo", "used")

    def memory_total(self) -> float:
        return self._ask("nvmlDeviceGetMemoryInfo", "total")

    def _ask(self, question: str, field: str) -> float:
        try:
            return float(getattr(getattr(self._nvml, question)(self._handle), field))
        except self._nvml.NVMLError:  # a part of a GPU (MIG) has no utilization; a lost one has nothing
            return float("nan")


def open_gpu(device: str) -> Gpu | None:
    """Return the GPU behind "cuda:N", or None: for the CPU, without nvidia-ml-py, and where the driver refuses."""
    if not device.startswith("cuda"):
        return None
    if importlib.util.find_spec("pynvml") is None:
        log.info(
            "no metrics of the GPU's driver: install them with pip install 'rerank-worker[gpu]'",
            extra={"event": "no_gpu_metrics"},
        )
        return None
    import pynvml
    import torch

    try:
        pynvml.nvmlInit()
        # By its own name: the numbers of CUDA_VISIBLE_DEVICES are not those of the driver.
        handle = _handle(pynvml, str(torch.cuda.get_device_properties(device).uuid))
    except pynvml.NVMLError as error:
        log.warning(
            "no metrics of the GPU's driver: %(error)s", {"error": error}, extra={"event": "gpu_metrics_failed"}
        )
        return None
    return _Gpu(pynvml, handle)


def _handle(nvml: Any, uuid: str) -> Any:
    """Return the driver's handle of what CUDA names so: a GPU, or a part of one (MIG)."""
    number = uuid.removeprefix("GPU-").removeprefix("MIG-")
    try:
        return nvml.nvmlDeviceGetHandleByUUID(f"GPU-{number}")
    except nvml.NVMLError:
        return nvml.nvmlDeviceGetHandleByUUID(f"MIG-{number}")
