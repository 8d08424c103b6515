"""The driver is asked where there is a GPU, nvidia-ml-py and a driver; else nothing is said, and nothing fails."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from worker.model import nvml
from worker.model.nvml import open_gpu
from worker.observe.metrics import Metrics


def test_a_cpu_has_none() -> None:
    assert open_gpu("cpu") is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without NVIDIA's driver")
def test_without_a_driver_the_log_says_why(caplog: pytest.LogCaptureFixture) -> None:
    assert open_gpu("cuda:0") is None
    assert "no metrics of the GPU's driver" in caplog.text


def test_what_the_driver_does_not_say_is_nan_in_its_metric() -> None:
    class NVMLError(Exception):
        pass

    def refuse(_: Any) -> None:
        raise NVMLError

    memory = SimpleNamespace(used=2e9, total=8e9)
    library = SimpleNamespace(
        NVMLError=NVMLError, nvmlDeviceGetUtilizationRates=refuse, nvmlDeviceGetMemoryInfo=lambda _: memory
    )
    gpu = nvml._Gpu(library, None)
    metrics = Metrics([])
    metrics.model.show_gpu("cuda:1", gpu.utilization, gpu.memory_used, gpu.memory_total)
    values = [
        metrics.registry.get_sample_value(f"rerank_gpu_{name}", {"device": "cuda:1"})
        for name in ("utilization_ratio", "memory_used_bytes", "memory_total_bytes")
    ]
    assert math.isnan(values[0] or 0)
    assert values[1:] == [2e9, 8e9]


def test_a_part_of_a_gpu_is_found_by_the_name_that_the_driver_has_for_it() -> None:
    class NVMLError(Exception):
        pass

    def find(name: str) -> str:
        if name != "MIG-a-b":
            raise NVMLError
        return name

    library = SimpleNamespace(NVMLError=NVMLError, nvmlDeviceGetHandleByUUID=find)
    assert nvml._handle(library, "a-b") == nvml._handle(library, "GPU-a-b") == "MIG-a-b"
    with pytest.raises(NVMLError):
        nvml._handle(library, "another")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_a_gpu_says_how_much_memory_it_has() -> None:
    gpu = open_gpu("cuda:0")
    assert gpu is not None
    assert gpu.memory_total() >= torch.cuda.get_device_properties(0).total_memory
    assert 0 < gpu.memory_used() < gpu.memory_total()
    assert math.isnan(gpu.utilization()) or 0 <= gpu.utilization() <= 1
